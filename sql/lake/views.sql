-- name: create_schema
-- The schema of the views that take the place of the tables.
CREATE SCHEMA sigdb_data;

-- name: show_attributions
-- The attributions in $files, whose folders give the run. With union_by_name, DuckDB reads the statistics of all files
-- when it plans a query. It then knows the largest cell_id and can sum by cell in an array.
SELECT q.run_id, q.gene_id, q.cell_id, q.score
FROM read_parquet($files, hive_partitioning = true, union_by_name = true, hive_types = {'run_id': 'UINTEGER', 'gene_bucket': 'USMALLINT'}) AS q;

-- name: show_table
-- The rows in $files. union_by_name has the same purpose as in show_attributions.
SELECT q.* FROM read_parquet($files, hive_partitioning = false, union_by_name = true) AS q;

-- name: drop_attributions
-- Drop the table, to make room for a view of the same name.
DROP TABLE sigdb_data.attributions;

-- name: drop_attribution_summary
-- Drop the table, to make room for a view of the same name.
DROP TABLE sigdb_data.attribution_summary;

-- name: clear_atlas_info
-- Empty the table of facts about a new atlas, before the facts of a lake are inserted.
DELETE FROM sigdb_data.atlas_info;
