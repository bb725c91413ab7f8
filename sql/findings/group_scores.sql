-- group_scores: the mean score by cell type and label, from the cube, for groups of $min_cells cells or more.
-- sigdb.group_scores replaces label_column by a column of the cube. n_samples: samples of the group. least_measured:
-- genes measured by the study of lowest coverage. median_counts, median_detected: the median, over the samples, of the
-- counts and detected genes of the median cell.
SELECT
    u.cell_type AS cell_type,
    u.label_column AS label,
    sum(u.score * u.n_cells) / sum(u.n_cells) AS score,
    sum(u.n_cells)::BIGINT AS n_cells,
    count(*) AS n_samples,
    min(u.n_measured) AS least_measured,
    any_value(u.n_score_genes) AS n_genes,
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
WHERE u.score IS NOT NULL
GROUP BY u.cell_type, u.label_column
HAVING sum(u.n_cells) >= $min_cells
ORDER BY score DESC, cell_type ASC, label ASC;
