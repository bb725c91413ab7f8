-- tables: the base tables of an atlas.
SELECT t.table_name
FROM duckdb_tables() AS t
WHERE t.database_name = current_database() AND t.schema_name = 'sigdb_data'
ORDER BY t.table_name;
