-- show_attributions: the attributions in $files, of which the folders say the run. union_by_name: DuckDB then reads what the
-- files say of their columns when it plans, so that it knows the largest cell_id and may add up by cell in an array.
SELECT q.run_id, q.gene_id, q.cell_id, q.score
FROM read_parquet($files, hive_partitioning = true, union_by_name = true, hive_types = {'run_id': 'UINTEGER', 'gene_bucket': 'USMALLINT'}) AS q;
