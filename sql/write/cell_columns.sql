-- cell_columns: the columns of cell_data and their types.
SELECT c.column_name, c.data_type
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = 'sigdb_data' AND c.table_name = 'cell_data';
