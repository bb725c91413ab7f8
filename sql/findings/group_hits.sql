-- group_hits: scores, z and hits of groups of $min_cells cells or more, from the cells (see signature_hits). $cells is the
-- population that hits are called in. The caller adds the columns that make a group, and groups by them. n_samples: samples of the group. least_measured: genes measured by the
-- study of lowest coverage, and coverage their part of n_genes. median_counts, median_detected: counts and detected genes of
-- the group's cells. score_se, z_se: standard errors of the mean over the n_units means of donors. A sample whose donor is
-- unknown counts as a donor. The caller adds the columns that make a group to the windows, too.
SELECT
    avg(u.score) AS score,
    avg(u.z) AS z,
    avg(u.is_hit::INTEGER) AS hit_rate,
    stddev_samp(u.unit_score) FILTER (u.is_first) / sqrt(count(u.unit_score) FILTER (u.is_first)) AS score_se,
    stddev_samp(u.unit_z) FILTER (u.is_first) / sqrt(count(u.unit_z) FILTER (u.is_first)) AS z_se,
    count(u.score) AS n_cells,
    count(DISTINCT u.sample_id) AS n_samples,
    count(DISTINCT u.study || ' ' || u.donor) AS n_donors,
    count(u.unit_score) FILTER (u.is_first) AS n_units,
    min(u.n_measured) / any_value(u.n_score_genes) AS coverage,
    min(u.n_measured) AS least_measured,
    any_value(u.n_score_genes) AS n_genes,
    median(u.n_counts) AS median_counts,
    median(u.n_genes) AS median_detected
FROM (
    SELECT
        v.*, avg(v.score) OVER (PARTITION BY v.unit) AS unit_score, avg(v.z) OVER (PARTITION BY v.unit) AS unit_z,
        row_number() OVER (PARTITION BY v.unit ORDER BY v.cell_id ASC) = 1 AS is_first
    FROM (
        SELECT
            c.*, coalesce(c.study || ' donor ' || c.donor, c.study || ' sample ' || c.sample) AS unit, h.score, h.z,
            h.is_hit, k._n_measured AS n_measured, k._n_genes AS n_score_genes
        FROM cells AS c
        JOIN signature_hits(
            $genes, percentile := $percentile, cells := $cells, weights := $weights, agg := $agg, missing := $missing,
            run := $run, signed := $signed, measured_only := $measured_only, against := $against
        ) AS h ON c.cell_id = h.cell_id
        JOIN studies AS t ON c.study = t.study
        JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS k ON t.study_id = k._study
        WHERE k._n_measured::DOUBLE / k._n_genes >= $min_coverage::DOUBLE
            AND (SELECT e._error FROM sigdb_data.coverage_check($min_coverage) AS e) IS NULL
    ) AS v
) AS u
HAVING count(u.score) >= $min_cells
ORDER BY avg(u.z) IS NULL ASC, z DESC, score DESC;
