-- signature_null(genes, n_controls := 1000, seed := 0, n_bins := 25, weights := NULL, missing := 'error', run := NULL, signed := false)
--   -> TABLE (study, tissue, disease, cell_type, n_cells, score, null_mean, null_sd, null_low, null_median, null_high, z, p_value, p_two_sided, n_controls, n_sets, n_genes, n_measured)
-- Whether a score is unusual beside the scores of genes with similar attributions. The mean score of each group of cells is
-- compared with the mean scores of n_controls random sets of genes. Each gene is matched on mean attribution and detection
-- in that study (see signature_controls). From the cube.
-- score:   as in signature_by_sample. Genes that the study did not measure count as 0 in the score and in the control sets.
-- null_mean, null_sd: of the scores of the control sets.  z: (score - null_mean) / null_sd; NULL if null_sd is 0.
-- null_low, null_median, null_high: quantiles of the scores of the control sets: 2.5 %, 50 % and 97.5 %.
-- p_value: (1 + control sets that score at least as high) / (1 + n_controls), and 1 / n_sets or more. It is one-sided and
--          holds for one group: adjust it for the number of groups. It says how unusual the genes are. Cells and donors play
--          no part in it, so it does not say how certain the score is.
-- p_two_sided: twice the smaller of p_value and its counterpart for sets that score at least as low; at most 1.
-- n_controls: 0 if the study measured none of the genes. The null is then NULL.
-- n_sets:  how many distinct control sets there are, the signature included; 1000000 stands for that many or more. If they
--          are few, the signature holds most genes of its strata: use fewer bins.
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for signature_score and signature_controls.
-- Example: SELECT score FROM signature_null(['CD3E']) WHERE cell_type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO signature_null(
    genes, n_controls := 1000, seed := 0, n_bins := 25, weights := NULL, missing := 'error', run := NULL, signed := false
) AS TABLE
SELECT
    p._study AS study, p._tissue AS tissue, p._disease AS disease, p._type AS cell_type, p._n_cells AS n_cells,
    p._score AS score, p._mean AS null_mean, p._sd AS null_sd,
    p._quantiles[1] AS null_low, p._quantiles[2] AS null_median, p._quantiles[3] AS null_high, (p._score - p._mean) / nullif(p._sd, 0) AS z,
    p._high AS p_value, CASE WHEN p._n > 0 THEN least(1, 2 * p._high, 2 * p._low) END AS p_two_sided,
    p._n AS n_controls, p._n_sets AS n_sets, p._n_genes AS n_genes, p._n_measured AS n_measured
FROM (
    SELECT
        m._study, m._tissue, m._disease, m._type, m._n_cells, m._score, m._mean, m._sd, m._quantiles, m._n,
        k._n_sets, m._n_genes, m._n_measured,
        CASE WHEN m._n > 0 THEN greatest((1.0::DOUBLE + m._n_high) / (1 + m._n), 1.0::DOUBLE / k._n_sets) END AS _high,
        CASE WHEN m._n > 0 THEN greatest((1.0::DOUBLE + m._n_low) / (1 + m._n), 1.0::DOUBLE / k._n_sets) END AS _low
    FROM sigdb_data.null_moments(genes, weights, n_controls, seed, n_bins, missing, run, signed) AS m
    LEFT JOIN sigdb_data.control_counts(genes, weights, n_bins, run) AS k ON m._study_id = k._study
) AS p
WHERE (SELECT e._error FROM sigdb_data.null_check(n_controls, seed, n_bins) AS e) IS NULL;
