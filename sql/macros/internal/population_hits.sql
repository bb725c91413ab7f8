-- population_hits(genes, percentile, cutoff, sd, below, cells, weights, agg, missing, run, signed, measured_only)
--   -> TABLE (_cell, _score, _cutoff, _hit)
-- Internal: the scores of a population. Each row has the cut-off, and whether the score is beyond it. The check is a
-- separate branch without rows: if the population is empty, nothing else is evaluated. (The scores are computed twice,
-- because quantile_cont as a window is slower.)
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for population_check.
-- Example: SELECT max(_cutoff) FROM sigdb_data.population_hits(['CD3E'], 100, NULL, NULL, false, 'cells', NULL, 'sum', 'error', NULL, false, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.population_hits(
    genes, percentile, cutoff, sd, below, cells, weights, agg, missing, run, signed, measured_only
) AS TABLE
SELECT s._cell, s._score, q._cutoff, CASE WHEN below THEN s._score < q._cutoff ELSE s._score > q._cutoff END AS _hit
FROM sigdb_data.population_scores(genes, cells, weights, agg, missing, run, signed, measured_only) AS s
CROSS JOIN (
    SELECT coalesce(cutoff, p._mean + sd * p._sd, p._quantile)::DOUBLE AS _cutoff
    FROM (
        SELECT
            CASE WHEN cutoff IS NULL AND sd IS NULL
                THEN quantile_cont(t._score, CASE WHEN percentile BETWEEN 0 AND 100 THEN percentile / 100 ELSE 0 END)
            END AS _quantile,
            avg(t._score) AS _mean,
            coalesce(stddev_samp(t._score), 0) AS _sd
        FROM sigdb_data.population_scores(genes, cells, weights, agg, missing, run, signed, measured_only) AS t
    ) AS p
) AS q
UNION ALL
SELECT NULL, NULL, NULL, NULL
FROM sigdb_data.population_check(percentile, cutoff, sd, cells, run) AS e
WHERE e._error IS NOT NULL;
