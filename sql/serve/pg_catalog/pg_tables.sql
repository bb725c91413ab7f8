-- The views of the atlas, as the catalogue shows tables.
SELECT
    schema_name AS schemaname,
    view_name AS tablename,
    'sigdb' AS tableowner
FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal AND schema_name <> 'sigdb_data'
