-- units: the mean score of the cells of each unit (donor or sample), from the cube. sigdb.compare adds the columns
-- that make a unit, and groups by them. n_genes, n_measured: the coverage of the unit's study.
SELECT
    sum(u.score * u.n_cells) / sum(u.n_cells) AS score,
    sum(u.n_cells)::BIGINT AS n_cells,
    list(DISTINCT u.donor ORDER BY u.donor) AS donors,
    any_value(u.n_genes) AS n_genes,
    any_value(u.n_measured) AS n_measured
FROM (
    SELECT s.* EXCLUDE (sample_id, study_id, n_cells), g.cell_type, g.n_cells, g.score, g.n_genes, g.n_measured
    FROM signature_by_sample(
        $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
        measured_only := $measured_only, min_coverage := $min_coverage
    ) AS g
    JOIN samples AS s ON g.study = s.study AND g.sample = s.sample
) AS u
WHERE u.score IS NOT NULL;
