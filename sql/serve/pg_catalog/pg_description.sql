-- The comments of views and columns.
SELECT
    (16384 + hash(schema_name, view_name) % 2000000000)::BIGINT AS objoid,
    0 AS objsubid,
    1259 AS classoid,
    comment AS description
FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal AND comment IS NOT NULL
UNION ALL
SELECT
    (16384 + hash(schema_name, table_name) % 2000000000)::BIGINT,
    column_index,
    1259,
    comment
FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal AND comment IS NOT NULL
