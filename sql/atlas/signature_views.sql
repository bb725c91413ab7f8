-- name: cell_scores
-- The view of a signature that has a row a cell. sigdb.signature_views puts in the name of the signature, and for
-- `cells` its definition, since a view resolves every name but those in sigdb_data where a client is, not where the atlas is.
SELECT s._score AS score
FROM sigdb_data.library_scores([$signature], 'mean', 'ignore', NULL, FALSE, FALSE) AS s
JOIN cells AS c ON s._cell = c.cell_id;

-- name: sample_scores
-- The view of a signature that has a row a sample and cell type: what signature_by_sample shows. As for
-- cell_scores, every name is one in sigdb_data.
SELECT
    s._study AS study, s._name AS sample, s._donor AS donor, s._tissue AS tissue, s._disease AS disease,
    s._type AS cell_type, s._n AS n_cells, s._score AS score, s._n_genes AS n_genes, s._n_measured AS n_measured
FROM sigdb_data.sample_scores(
    (SELECT list(q.gene ORDER BY q.position) FROM sigdb_data.signatures AS q WHERE q.signature = $signature),
    (SELECT list(q.weight ORDER BY q.position) FROM sigdb_data.signatures AS q WHERE q.signature = $signature),
    'mean', 'ignore', NULL, FALSE, FALSE, 0
) AS s;
