-- schema: what an atlas is made of: columns of the tables, views, macros; each with its comment and its definition.
SELECT 'column' AS kind, c.table_name || '.' || c.column_name AS name, c.comment, c.data_type AS definition
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = 'sigdb_data'
UNION ALL
SELECT 'view', v.view_name, v.comment, v.sql
FROM duckdb_views() AS v
WHERE v.database_name = current_database() AND v.schema_name = 'main' AND NOT v.internal
UNION ALL
SELECT
    'macro', f.schema_name || '.' || f.function_name || '(' || array_to_string(f.parameters, ', ') || ')', f.comment,
    f.macro_definition
FROM duckdb_functions() AS f
WHERE f.database_name = current_database() AND f.function_type IN ('macro', 'table_macro') AND NOT f.internal
ORDER BY ALL;
