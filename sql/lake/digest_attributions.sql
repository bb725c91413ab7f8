-- digest_attributions: what `sigdb export` writes a file of, the attributions of each run and $genes_per_bucket gene ids, and
-- numbers that are others when any row is: whatever the order of the rows, and as long as DuckDB hashes alike.
SELECT
    a.run_id, a.gene_id // $genes_per_bucket AS gene_bucket, count(*) AS n,
    bit_xor(hash(a.gene_id, a.cell_id, a.score)) AS bits, sum(hash(a.gene_id, a.cell_id, a.score)) AS total
FROM sigdb_data.attributions AS a
GROUP BY a.run_id, gene_bucket
ORDER BY a.run_id, gene_bucket;
