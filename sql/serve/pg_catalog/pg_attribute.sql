-- The columns of the views, with the types in which the Postgres door sends their values.
SELECT
    (16384 + hash(c.schema_name, c.table_name) % 2000000000)::BIGINT AS attrelid,
    c.column_name AS attname,
    c.column_index AS attnum,
    coalesce(CASE WHEN c.data_type LIKE '%[]' THEN t.array_oid ELSE t.oid END, 114)::BIGINT AS atttypid,
    -1 AS atttypmod,
    -1 AS attlen,
    0 AS attndims,
    0 AS attcollation,
    '' AS attidentity,
    '' AS attgenerated,
    false AS attnotnull,
    false AS atthasdef,
    false AS attisdropped,
    true AS attislocal
FROM duckdb_columns() AS c
LEFT JOIN (
    VALUES
    ('BOOLEAN', 16, 1000), ('BLOB', 17, 1001), ('BIT', 17, 1001), ('BIGINT', 20, 1016), ('UINTEGER', 20, 1016),
    ('TINYINT', 21, 1005), ('UTINYINT', 21, 1005), ('SMALLINT', 21, 1005), ('INTEGER', 23, 1007),
    ('USMALLINT', 23, 1007), ('VARCHAR', 25, 1009), ('ENUM', 25, 1009), ('UUID', 25, 1009), ('INTERVAL', 25, 1009),
    ('FLOAT', 700, 1021), ('DOUBLE', 701, 1022), ('DATE', 1082, 1182), ('TIME', 1083, 1183),
    ('TIMESTAMP', 1114, 1115), ('TIMESTAMP WITH TIME ZONE', 1184, 1185), ('UBIGINT', 1700, 1231),
    ('HUGEINT', 1700, 1231), ('DECIMAL', 1700, 1231)
) AS t (name, oid, array_oid) ON regexp_extract(c.data_type, '^([A-Z ]+)(\([^)]*\))?(\[\])?$', 1) = t.name
WHERE c.database_name = current_database() AND NOT c.internal AND c.schema_name <> 'sigdb_data'
