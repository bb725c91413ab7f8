-- The schemas that people ask about. The tables behind the views of an atlas are left out, as `sigdb info` does.
SELECT
    CASE schema_name WHEN 'main' THEN 2200 ELSE 16384 + hash(schema_name) % 2000000000 END::BIGINT AS oid,
    schema_name AS nspname,
    10 AS nspowner
FROM duckdb_schemas()
WHERE database_name = current_database() AND (schema_name = 'main' OR NOT internal) AND schema_name <> 'sigdb_data'
UNION ALL
SELECT 11, 'pg_catalog', 10
UNION ALL
SELECT 13000, 'information_schema', 10
