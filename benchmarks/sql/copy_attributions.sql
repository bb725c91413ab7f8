-- copy_attributions: the attributions of the copies: those of the first $n_first cells, each times a number around 1.
INSERT INTO sigdb_data.attributions BY NAME
SELECT
    a.* REPLACE (
        a.cell_id + k.n * $n_first AS cell_id, a.score * (0.5 + hash(a.cell_id, k.n, a.gene_id) % 1000 / 1000) AS score
    )
FROM sigdb_data.attributions AS a
CROSS JOIN range(1, $n_cells) AS k (n)
WHERE a.cell_id + k.n * $n_first < $n_cells AND k.n <= $n_cells // $n_first;
