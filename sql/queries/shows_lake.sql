-- shows_lake: the tables of the current database that are views over the files of a lake; of an atlas, none.
SELECT v.view_name
FROM duckdb_views() AS v
WHERE v.database_name = current_database() AND v.schema_name = 'sigdb_data';
