-- cell_scores: the score of $genes in each cell, highest first. n_measured: how many of the n_genes that the model knows the
-- study of the cell measured; coverage: their part. `sigdb score` adds a condition on the cells.
SELECT
    s.cell_id, c.study, c.sample, c.barcode, c.cell_type, s.score, k._n_measured / k._n_genes AS coverage,
    k._n_measured AS n_measured, k._n_genes AS n_genes
FROM cells AS c
JOIN signature_score(
    $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
    measured_only := $measured_only
) AS s
    ON c.cell_id = s.cell_id
JOIN sigdb_data.studies AS t ON c.study = t.study
JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS k ON t.study_id = k._study
ORDER BY s.score DESC NULLS LAST, s.cell_id ASC;
