-- unit_hits: the cells of each unit (donor, sample or cell) beside matched controls: mean z, hit rate and mean score, in the
-- population $cells (see signature_hits). sigdb.compare adds the columns that make a unit, and groups by them. Cells without a
-- score do not count. (A condition on the score here would hide the errors of signature_hits.) n_genes, n_measured: the
-- coverage of the unit's study. median_counts, median_detected: counts and detected genes of the unit's cells.
SELECT
    avg(u.z) AS z,
    avg(u.is_hit::INTEGER) AS hit_rate,
    avg(u.score) AS score,
    count(*) FILTER (WHERE u.is_hit) AS n_hits,
    count(u.score) AS n_cells,
    list(DISTINCT u.donor ORDER BY u.donor ASC) AS donors,
    any_value(u.n_score_genes) AS n_genes,
    any_value(u.n_measured) AS n_measured,
    median(u.n_counts) AS median_counts,
    median(u.n_genes) AS median_detected
FROM (
    SELECT
        c.* EXCLUDE (cell_id), c.cell_id::VARCHAR AS cell, h.score, h.z, h.is_hit, k._n_genes AS n_score_genes,
        k._n_measured AS n_measured
    FROM signature_hits(
        $genes, percentile := $percentile, cells := $cells, weights := $weights, agg := $agg, missing := $missing,
        run := $run, signed := $signed, measured_only := $measured_only, cutoff := $cutoff, sd := $sd, below := $below,
        against := $against
    ) AS h
    JOIN cells AS c ON h.cell_id = c.cell_id
    JOIN sigdb_data.studies AS t ON c.study = t.study
    JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS k ON t.study_id = k._study
    WHERE k._n_measured::DOUBLE / k._n_genes >= $min_coverage::DOUBLE
        AND (SELECT e._error FROM sigdb_data.coverage_check($min_coverage) AS e) IS NULL
) AS u
HAVING count(u.score) > 0;
