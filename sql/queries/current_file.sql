-- current_file: the file of the current database, and whether it is open read-only.
SELECT d.path, d.readonly FROM duckdb_databases() AS d WHERE d.database_name = current_database();
