-- name: digest_table
-- The number of rows of a table, and two numbers that change when any row changes. sigdb/lake/files.py puts the table in
-- the place of atlas_info.
SELECT count(*) AS n, bit_xor(hash(t)) AS bits, sum(hash(t)) AS total FROM sigdb_data.atlas_info AS t;

-- name: digest_attributions
-- One row per file of attributions, which holds one run and $genes_per_bucket gene ids. As in digest_table, the numbers
-- change when any row changes, but not with the order of the rows. DuckDB's hash is the same in all versions so far.
SELECT
    a.run_id, a.gene_id // $genes_per_bucket AS gene_bucket, count(*) AS n,
    bit_xor(hash(a.gene_id, a.cell_id, a.score)) AS bits, sum(hash(a.gene_id, a.cell_id, a.score)) AS total
FROM sigdb_data.attributions AS a
GROUP BY a.run_id, gene_bucket
ORDER BY a.run_id ASC, gene_bucket ASC;

-- name: attributions
-- The attributions of a run and a range of genes, in the order of a lake.
SELECT a.gene_id, a.cell_id, a.score
FROM sigdb_data.attributions AS a
WHERE a.run_id = $run_id AND a.gene_id BETWEEN $first AND $last
ORDER BY a.gene_id ASC, a.cell_id ASC;

-- name: gene_rows
-- The mean number of attributions per run and gene id.
SELECT count(*) // greatest(count(DISTINCT a.run_id) * (max(a.gene_id) + 1), 1) AS n FROM sigdb_data.attributions AS a;
