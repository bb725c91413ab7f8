-- obs_columns: the columns of cell_data that came with the obs of studies, as far as they have no comment yet.
SELECT c.column_name
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = 'sigdb_data' AND c.table_name = 'cell_data'
    AND c.comment IS NULL;
