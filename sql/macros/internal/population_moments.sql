-- population_moments(genes, percentile, against, cells, weights, agg, missing, run, signed, measured_only)
--   -> TABLE (_cell, _score, _mean, _sd, _quantile)
-- Internal: the scores of a population, each with the mean, standard deviation and percentile that it is compared with. With
-- against = 'controls' these are what control sets score in cells of the same study and depth (see score_calibration); NULL
-- if the study measured none of the genes. With 'cells' they are the population's own. The planner drops the other branch,
-- since its condition is constant. Without a percentile, _quantile is NULL. (With 'cells', the scores are computed once:
-- a sum that is computed twice may differ in its last digits, and a score would lie above the highest one. Up to version 1.5.5, DuckDB sometimes fails at a window that has no PARTITION BY.)
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for population_scores.
-- Example: SELECT max(_quantile) FROM sigdb_data.population_moments(['CD3E'], 100, 'cells', 'cells', NULL, 'sum', 'error', NULL, false, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.population_moments(
    genes, percentile, against, cells, weights, agg, missing, run, signed, measured_only
) AS TABLE
SELECT s._cell, s._score, k._mean, k._sd, k._quantile
FROM sigdb_data.population_scores(genes, cells, weights, agg, missing, run, signed, measured_only) AS s
JOIN sigdb_data.cell_depths(run) AS d ON s._cell = d._cell
LEFT JOIN sigdb_data.score_calibration(genes, weights, agg, run, signed, measured_only, percentile) AS k
    ON d._study = k._study AND d._depth = k._depth
WHERE against = 'controls'
UNION ALL
SELECT
    s._cell, s._score, avg(s._score) OVER (PARTITION BY against) AS _mean,
    coalesce(stddev_samp(s._score) OVER (PARTITION BY against), 0) AS _sd,
    CASE WHEN percentile IS NOT NULL THEN
        quantile_cont(s._score, CASE WHEN percentile BETWEEN 0 AND 100 THEN percentile / 100.0::DOUBLE ELSE 0 END)
            OVER (PARTITION BY against)
    END AS _quantile
FROM sigdb_data.population_scores(genes, cells, weights, agg, missing, run, signed, measured_only) AS s
WHERE against = 'cells';
