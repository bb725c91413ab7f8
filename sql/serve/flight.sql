-- What clients of Arrow Flight SQL ask about the catalogue. The columns are those that the protocol names.
-- name: catalogs
-- The atlas.
SELECT current_database() AS catalog_name
-- name: schemas
-- The schemas with views that people ask about.
SELECT DISTINCT
    database_name AS catalog_name,
    schema_name AS db_schema_name
FROM duckdb_views()
WHERE database_name = current_database()
    AND NOT internal
    AND schema_name <> 'sigdb_data'
    AND schema_name LIKE coalesce($schema, '%')
ORDER BY db_schema_name
-- name: tables
-- The views that people ask about.
SELECT
    database_name AS catalog_name,
    schema_name AS db_schema_name,
    view_name AS table_name,
    'VIEW' AS table_type
FROM duckdb_views()
WHERE database_name = current_database()
    AND NOT internal
    AND schema_name <> 'sigdb_data'
    AND schema_name LIKE coalesce($schema, '%')
    AND view_name LIKE coalesce($table, '%')
ORDER BY db_schema_name, table_name
-- name: table_types
-- The types of tables that there are.
SELECT 'VIEW' AS table_type
-- name: columns
-- The columns of a table, without its rows.
FROM query_table($table) LIMIT 0
