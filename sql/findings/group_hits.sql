-- group_hits: scores, z and hits of groups of $min_cells cells or more, from the cells (see signature_hits). $cells is the
-- population that hits are called in. The caller replaces group_columns by the columns that make a group, and groups by them.
-- n_samples: samples of the group. least_measured: genes measured by the study of lowest coverage, and coverage their part of
-- n_genes. median_counts, median_detected: counts and detected genes of the group's cells.
-- n_donors counts donors with a name: $unnamed_donors stand for none. The unit of a cell is its donor; without a name, its
-- sample; without a name of either ($unnamed_samples), there is no unit.
-- score_se, z_se: cluster-robust standard errors of score and z. With U units, and d the sum over the cells of a unit of their
-- deviations from the mean of all N cells, it is sqrt(U / (U - 1) * sum of d^2) / N. NULL for fewer than 2 units, if a cell
-- has no unit, and for cells of several studies, whose panels and depths differ.
SELECT
    avg(u.score) AS score,
    avg(u.z) AS z,
    avg(u.is_hit::INTEGER) AS hit_rate,
    CASE
        WHEN count(DISTINCT u.study) FILTER (u.score IS NOT NULL) = 1
            AND bool_and(u.unit IS NOT NULL) FILTER (u.score IS NOT NULL)
        THEN sqrt(
            count(u.unit_score) FILTER (u.is_first) / nullif(count(u.unit_score) FILTER (u.is_first) - 1, 0)
            * sum(u.unit_score ** 2) FILTER (u.is_first)
        ) / count(u.score)
    END AS score_se,
    CASE
        WHEN count(DISTINCT u.study) FILTER (u.z IS NOT NULL) = 1
            AND bool_and(u.unit IS NOT NULL) FILTER (u.z IS NOT NULL)
        THEN sqrt(
            count(u.unit_z) FILTER (u.is_first) / nullif(count(u.unit_z) FILTER (u.is_first) - 1, 0)
            * sum(u.unit_z ** 2) FILTER (u.is_first)
        ) / count(u.z)
    END AS z_se,
    count(u.score) AS n_cells,
    count(DISTINCT u.sample_id) AS n_samples,
    count(DISTINCT u.study || ' ' || u.named_donor) AS n_donors,
    count(u.unit_score) FILTER (u.is_first) AS n_units,
    min(u.n_measured) / any_value(u.n_score_genes) AS coverage,
    min(u.n_measured) AS least_measured,
    any_value(u.n_score_genes) AS n_genes,
    median(u.n_counts) AS median_counts,
    median(u.n_genes) AS median_detected
FROM (
    SELECT
        w.*, sum(w.score - w.mean_score) OVER (PARTITION BY w.group_columns, w.unit) AS unit_score,
        sum(w.z - w.mean_z) OVER (PARTITION BY w.group_columns, w.unit) AS unit_z, w.unit IS NOT NULL
        AND row_number() OVER (PARTITION BY w.group_columns, w.unit ORDER BY w.cell_id ASC) = 1 AS is_first
    FROM (
        SELECT
            v.*, coalesce(v.study || ' donor ' || v.named_donor, v.study || ' sample ' || v.named_sample) AS unit,
            avg(v.score) OVER (PARTITION BY v.group_columns) AS mean_score,
            avg(v.z) OVER (PARTITION BY v.group_columns) AS mean_z
        FROM (
            SELECT
                c.*, h.score, h.z, h.is_hit, k._n_measured AS n_measured, k._n_genes AS n_score_genes,
                CASE
                    WHEN NOT list_contains($unnamed_donors, lower(replace(regexp_replace(c.donor, '^\s+|\s+$', '', 'g'), '_', ' '))) THEN c.donor
                END AS named_donor,
                CASE
                    WHEN NOT list_contains($unnamed_samples, lower(replace(regexp_replace(c.sample, '^\s+|\s+$', '', 'g'), '_', ' '))) THEN c.sample
                END AS named_sample
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
    ) AS w
) AS u
HAVING count(u.score) >= $min_cells
ORDER BY avg(u.z) IS NULL ASC, z DESC, score DESC;
