-- unit_cells: the score of each cell, in the columns of `units`, for comparisons with cells as replicates.
-- sigdb.compare adds the columns that make a unit, and groups by them.
SELECT
    any_value(u.score) AS score,
    count(*) AS n_cells,
    list(DISTINCT u.donor ORDER BY u.donor) AS donors,
    any_value(u.n_genes) AS n_genes,
    any_value(u.n_measured) AS n_measured
FROM (
    SELECT c.* EXCLUDE (cell_id, n_genes), c.cell_id::VARCHAR AS cell, s.score, k._n_genes AS n_genes, k._n_measured AS n_measured
    FROM signature_score(
        $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
        measured_only := $measured_only
    ) AS s
    JOIN cells AS c ON s.cell_id = c.cell_id
    JOIN sigdb_data.studies AS t ON c.study = t.study
    JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS k ON t.study_id = k._study
    WHERE k._n_measured >= $min_coverage * k._n_genes
) AS u
WHERE u.score IS NOT NULL;
