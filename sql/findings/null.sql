-- null: signature_null for groups of $min_cells cells or more, with the counts and detected genes of their median cell.
-- sigdb.matched_null adds a condition.
SELECT u.*
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
ORDER BY u.z IS NULL ASC, u.z DESC, u.study ASC, u.tissue ASC, u.disease ASC, u.cell_type ASC;
