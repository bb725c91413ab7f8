-- signature_calibration(genes, percentile := 99, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false)
--   -> TABLE (study, min_detected, n_cells, n_genes, n_measured, n_pairs, mean, sd, cutoff)
-- What signature_hits compares with: the scores of control sets in the cells of each study and depth stratum. There are 200
-- control sets. In each, every gene that the study measured is replaced by one of the 51 genes of the study with the nearest
-- level of attribution in the atlas. The level of a gene is the mean, over studies and over the cell types of each, of the
-- logarithm of its mean |attribution|, relative to the average gene of the study.
-- min_detected: the stratum holds the cells in which from this number of genes on are detected, up to the next stratum, which
--          starts at 1.41 times as many. NULL: cells whose number of detected genes is unknown.
-- n_cells: cells of the stratum that were sampled.  n_pairs: scores of control sets in these cells; 5000 where possible.
-- mean, sd, cutoff: of these scores: their mean, standard deviation and percentile (99 if it is NULL).
-- A study that measured none of the genes has no rows. The few genes of the highest levels of a study have only lower genes
-- as candidates, so signatures of these have more hits.
-- Units:   mean, sd, cutoff: attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for signature_score; percentile not from 0 to 100.
-- Example: SELECT n_pairs FROM signature_calibration(['S100A8']) WHERE min_detected = 4;  --> 600

CREATE OR REPLACE MACRO signature_calibration(
    genes, percentile := 99, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false,
    measured_only := false
) AS TABLE
SELECT
    t._study AS study, CASE WHEN c._depth >= 0 THEN ceil(2 ** (c._depth / 2.0::DOUBLE))::BIGINT END AS min_detected,
    c._n_cells AS n_cells, k._n_genes AS n_genes, k._n_measured AS n_measured, c._n_pairs AS n_pairs, c._mean AS mean,
    c._sd AS sd, c._quantile AS cutoff
FROM sigdb_data.score_calibration(genes, weights, agg, run, signed, measured_only, coalesce(percentile, 99)) AS c
JOIN (SELECT q.study_id AS _id, q.study AS _study FROM sigdb_data.studies AS q) AS t ON c._study = t._id
JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON c._study = k._study
WHERE (SELECT q._error FROM sigdb_data.signature_check(genes, weights, agg, missing, run, signed, NULL) AS q) IS NULL
    AND (
        SELECT q._error FROM sigdb_data.population_check(percentile, NULL, NULL, false, 'controls', 'sigdb_data.cell_data', run) AS q
    ) IS NULL;
