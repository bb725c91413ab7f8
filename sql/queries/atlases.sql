-- atlases: the attached databases that are atlases, and whether each is the current one.
SELECT s.database_name, s.database_name = current_database()
FROM duckdb_schemas() AS s
WHERE s.schema_name = 'sigdb_data'
ORDER BY s.database_name;
