-- leading_genes: the $n leading genes of a signature in each group of $min_cells cells or more, with the counts and detected
-- genes of the group's median cell, and the coverage of its study. sigdb.leading_genes adds a condition.
SELECT u.*
FROM (
    SELECT g.*, k._n_genes AS n_genes, k._n_measured AS n_measured, d.median_counts, d.median_detected
    FROM leading_genes($genes, weights := $weights, missing := $missing, run := $run, signed := $signed) AS g
    JOIN sigdb_data.studies AS t ON g.study = t.study
    JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS k ON t.study_id = k._study
    JOIN (
        SELECT
            c.study, c.tissue, c.disease, c.cell_type, median(c.n_counts) AS median_counts,
            median(c.n_genes) AS median_detected
        FROM cells AS c
        GROUP BY c.study, c.tissue, c.disease, c.cell_type
    ) AS d
        ON g.study = d.study AND g.tissue IS NOT DISTINCT FROM d.tissue AND g.disease IS NOT DISTINCT FROM d.disease
        AND g.cell_type IS NOT DISTINCT FROM d.cell_type
) AS u
WHERE u.rank <= $n AND u.n_cells >= $min_cells
ORDER BY u.score DESC, u.study ASC, u.tissue ASC, u.disease ASC, u.cell_type ASC, u.rank ASC;
