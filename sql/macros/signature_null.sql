-- signature_null(genes, n_controls := 1000, seed := 0, n_bins := 25, weights := NULL, missing := 'error', run := NULL, signed := false)
--   -> TABLE (study, tissue, disease, cell_type, n_cells, score, null_mean, null_sd, z, p_value, n_controls, n_genes, n_measured)
-- Whether a score is higher than the scores of other genes with similar attributions. The mean score of each group of cells
-- is compared with the mean scores of n_controls sets of other genes. The sets are matched gene by gene on mean attribution
-- and detection in that study (see signature_controls). From the cube.
-- score:   the mean over the genes that the study measured, as with measured_only := true; NULL if it measured none.
-- null_mean, null_sd: of the scores of the control sets.  z: (score - null_mean) / null_sd; NULL if null_sd is 0.
-- p_value: (1 + control sets that score at least as high) / (1 + n_controls). It is one-sided, never 0, and holds for one
--          group: adjust it for the number of groups. It says how unusual the genes are. Cells and donors play no part in
--          it, so it does not say how certain the score is.
-- n_controls: 0 if a study has too few other genes to match. The null is then NULL; use fewer bins.
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for signature_score and signature_controls.
-- Example: SELECT score FROM signature_null(['CD3E']) WHERE cell_type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO signature_null(
    genes, n_controls := 1000, seed := 0, n_bins := 25, weights := NULL, missing := 'error', run := NULL, signed := false
) AS TABLE
SELECT
    g._study AS study, g._tissue AS tissue, g._disease AS disease, g._type AS cell_type, g._n_cells::BIGINT AS n_cells,
    g._score AS score, g._mean AS null_mean, g._sd AS null_sd, (g._score - g._mean) / nullif(g._sd, 0) AS z,
    CASE WHEN g._n > 0 THEN (1 + g._high + CASE WHEN g._score <= 0 THEN g._n - g._rows ELSE 0 END) / (1 + g._n) END
        AS p_value,
    g._n::BIGINT AS n_controls, g._n_genes AS n_genes, g._n_measured AS n_measured
FROM (
    SELECT
        f._study, f._tissue, f._disease, f._type, any_value(f._n_cells) AS _n_cells, any_value(f._score) AS _score,
        any_value(f._n) AS _n, any_value(f._n_genes) AS _n_genes, any_value(f._n_measured) AS _n_measured,
        count(f._value) AS _rows, count(*) FILTER (WHERE f._value >= f._score) AS _high,
        CASE WHEN any_value(f._n) > 0 THEN coalesce(sum(f._value), 0) / any_value(f._n) END AS _mean,
        -- Over the sets that have a value, and the sets that are 0 and have no row.
        CASE WHEN any_value(f._n) > 0 THEN sqrt((
            coalesce(var_pop(f._value) * count(f._value), 0)
            + coalesce(avg(f._value) ** 2 * count(f._value) * (any_value(f._n) - count(f._value)) / any_value(f._n), 0)
        ) / (any_value(f._n) - 1)) END AS _sd
    FROM (
        SELECT
            s._study, n._tissue, n._disease, n._type, n._n_cells, k._n_genes, k._n_measured,
            CASE WHEN h._study IS NULL THEN 0 ELSE n_controls END AS _n,
            -- The row without a number is the signature's own.
            CASE WHEN k._n_measured > 0 THEN coalesce(
                max(CASE WHEN c._control IS NULL THEN c._value END)
                    OVER (PARTITION BY n._study_id, n._tissue, n._disease, n._type), 0
            ) / n._n_cells / w._total END AS _score,
            CASE WHEN c._control IS NOT NULL THEN c._value END / n._n_cells / w._total AS _value
        FROM (
            SELECT l._study_id, l._tissue, l._disease, a._type, sum(a._n) AS _n_cells
            FROM sigdb_data.chosen_groups(NULL, NULL, NULL, NULL, run) AS a
            JOIN sigdb_data.sample_labels() AS l ON a._sample = l._sample
            GROUP BY l._study_id, l._tissue, l._disease, a._type
        ) AS n
        JOIN (SELECT q.study_id AS _id, q.study AS _study FROM sigdb_data.studies AS q) AS s ON n._study_id = s._id
        JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON n._study_id = k._study
        LEFT JOIN (
            SELECT q.study_id AS _study, nullif(sum(abs(t._weight)), 0) AS _total
            FROM sigdb_data.study_genes AS q
            JOIN sigdb_data.signature_terms(genes, weights, 'sum', run, NULL) AS t ON q.gene_id = t._gene
            GROUP BY q.study_id
        ) AS w ON n._study_id = w._study
        LEFT JOIN (
            SELECT DISTINCT d._study FROM sigdb_data.control_genes(genes, weights, 1, seed, n_bins, run) AS d
        ) AS h ON n._study_id = h._study
        LEFT JOIN sigdb_data.null_moments(genes, weights, n_controls, seed, n_bins, run, signed) AS c
            ON n._study_id = c._study AND n._tissue IS NOT DISTINCT FROM c._tissue
            AND n._disease IS NOT DISTINCT FROM c._disease AND n._type IS NOT DISTINCT FROM c._type
    ) AS f
    GROUP BY f._study, f._tissue, f._disease, f._type
) AS g
WHERE (SELECT q._error FROM sigdb_data.signature_check(genes, weights, 'mean', missing, run, signed, NULL) AS q) IS NULL
    AND (SELECT e._error FROM sigdb_data.null_check(n_controls, seed, n_bins) AS e) IS NULL;
