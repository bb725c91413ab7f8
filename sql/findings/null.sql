-- null: signature_null for groups of $min_cells cells or more, with the counts and detected genes of their median cell, and
-- q_value: p_value adjusted over these groups (Benjamini and Hochberg). sigdb.matched_null adds a condition.
SELECT
    v.* EXCLUDE (n_tests, n_below),
    min(least(1, v.p_value * v.n_tests / v.n_below)) OVER (PARTITION BY v.p_value IS NULL ORDER BY v.p_value DESC) AS q_value
FROM (
    SELECT
        u.*, count(u.p_value) OVER (PARTITION BY u.p_value IS NULL) AS n_tests,
        count(u.p_value) OVER (PARTITION BY u.p_value IS NULL ORDER BY u.p_value ASC) AS n_below
    FROM (
        SELECT n.*, d.median_counts, d.median_detected
        FROM signature_null(
            $genes, n_controls := $n_controls, seed := $seed, n_bins := $n_bins, weights := $weights, missing := $missing,
            run := $run, signed := $signed
        ) AS n
        JOIN (
            SELECT
                c.study, c.tissue, c.disease, c.cell_type, median(c.n_counts) AS median_counts,
                median(c.n_genes) AS median_detected
            FROM cells AS c
            GROUP BY c.study, c.tissue, c.disease, c.cell_type
        ) AS d
            ON n.study = d.study AND n.tissue IS NOT DISTINCT FROM d.tissue AND n.disease IS NOT DISTINCT FROM d.disease
            AND n.cell_type IS NOT DISTINCT FROM d.cell_type
    ) AS u
    WHERE u.n_cells >= $min_cells
) AS v
ORDER BY v.z IS NULL ASC, v.z DESC, v.study ASC, v.tissue ASC, v.disease ASC, v.cell_type ASC;
