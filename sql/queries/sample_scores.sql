-- sample_scores: the view of a signature that has a row a sample and cell type: what signature_by_sample shows. As for
-- cell_scores, every name is one in sigdb_data.
SELECT
    s._study AS study, s._name AS sample, s._donor AS donor, s._tissue AS tissue, s._disease AS disease,
    s._type AS cell_type, s._n AS n_cells, s._score AS score, s._n_genes AS n_genes, s._n_measured AS n_measured
FROM sigdb_data.sample_scores(
    (SELECT list(q.gene ORDER BY q.position) FROM sigdb_data.signatures AS q WHERE q.signature = $signature),
    (SELECT list(q.weight ORDER BY q.position) FROM sigdb_data.signatures AS q WHERE q.signature = $signature),
    'mean', 'ignore', NULL, FALSE, FALSE, 0
) AS s;
