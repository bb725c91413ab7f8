-- units: the mean score of the cells of each unit (donor or sample), from the cube. sigdb.compare adds the columns
-- that make a unit, and groups by them. n_genes, n_measured: the coverage of the unit's study. median_counts,
-- median_detected: the median, over the unit's samples and cell types, of the counts and detected genes of the median cell.
SELECT
    sum(u.score * u.n_cells) / sum(u.n_cells) AS score,
    sum(u.n_cells)::BIGINT AS n_cells,
    list(DISTINCT u.donor ORDER BY u.donor ASC) AS donors,
    any_value(u.n_score_genes) AS n_genes,
    any_value(u.n_measured) AS n_measured,
    median(u.median_counts) AS median_counts,
    median(u.median_detected) AS median_detected
FROM (
    SELECT
        s.* EXCLUDE (sample_id, study_id, n_cells), g.cell_type, g.n_cells, g.score, g.n_genes AS n_score_genes, g.n_measured,
        d.median_counts, d.median_detected
    FROM signature_by_sample(
        $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
        measured_only := $measured_only, min_coverage := $min_coverage
    ) AS g
    JOIN samples AS s ON g.study = s.study AND g.sample = s.sample
    JOIN (
        SELECT c.sample_id, c.cell_type, median(c.n_counts) AS median_counts, median(c.n_genes) AS median_detected
        FROM sigdb_data.cell_data AS c
        GROUP BY c.sample_id, c.cell_type
    ) AS d ON s.sample_id = d.sample_id AND g.cell_type IS NOT DISTINCT FROM d.cell_type
) AS u
WHERE u.score IS NOT NULL;
