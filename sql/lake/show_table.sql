-- show_table: the rows in $files. union_by_name: as in show_attributions, for the cells are added up by, too.
SELECT q.* FROM read_parquet($files, hive_partitioning = false, union_by_name = true) AS q;
