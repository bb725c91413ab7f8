-- signature_by_sample(genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false, min_coverage := 0)
--   -> TABLE (study, sample, donor, tissue, disease, cell_type, n_cells, score, n_genes, n_measured)
-- The mean score of the cells of each sample and cell type, from the cube: exact, and without reading a cell. The mean
-- over coarser groups is sum(score * n_cells) / sum(n_cells).
-- n_genes:      genes that the score is made of; n_measured: those that the sample's study measured.
-- measured_only: divide by the measured genes alone; NULL where the study measured none.
-- min_coverage: leave out studies that measured a smaller part of the genes, from 0 to 1.
-- Units:   attribution, 1000 a cell in all.  Other options as for signature_score.
-- Errors:  those of signature_score; min_coverage not from 0 to 1.
-- Example: SELECT score FROM signature_by_sample(['S100A8', 'S100A9']) WHERE cell_type = 'monocyte';  --> 4.0

CREATE OR REPLACE MACRO signature_by_sample(
    genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false,
    measured_only := false, min_coverage := 0
) AS TABLE
SELECT
    s._study AS study, s._name AS sample, s._donor AS donor, s._tissue AS tissue, s._disease AS disease,
    n._type AS cell_type, n._n AS n_cells,
    coalesce(v._sum, 0) / n._n * CASE WHEN measured_only AND agg = 'mean' THEN k._factor ELSE 1 END AS score,
    k._n_genes AS n_genes, k._n_measured AS n_measured
FROM sigdb_data.chosen_groups(NULL, NULL, NULL, NULL, run) AS n
JOIN sigdb_data.sample_labels() AS s ON n._sample = s._sample
JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON s._study_id = k._study
LEFT JOIN (
    SELECT u._sample, u._cell_type, sum(u._value) AS _sum
    FROM sigdb_data.summary_values(genes, weights, agg, run, signed) AS u
    GROUP BY u._sample, u._cell_type
) AS v ON n._sample = v._sample AND n._type IS NOT DISTINCT FROM v._cell_type
WHERE k._n_measured >= coalesce(min_coverage, 0) * k._n_genes
    AND (SELECT c._error FROM sigdb_data.signature_check(genes, weights, agg, missing, run, NULL) AS c) IS NULL
    AND (SELECT e._error FROM sigdb_data.coverage_check(min_coverage) AS e) IS NULL;
