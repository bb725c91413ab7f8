-- cell_scores: the view of a signature that has a row a cell. sigdb.signature_views puts in the name of the signature, and for
-- `cells` its definition, since a view resolves every name but those in sigdb_data where a client is, not where the atlas is.
SELECT s._score AS score
FROM sigdb_data.library_scores([$signature], 'mean', 'ignore', NULL, FALSE, FALSE) AS s
JOIN cells AS c ON s._cell = c.cell_id;
