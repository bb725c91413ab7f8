-- show_table: the rows in $files.
SELECT q.* FROM read_parquet($files, hive_partitioning = false) AS q;
