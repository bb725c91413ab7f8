-- score_calibration(genes, weights, agg, run, signed, measured_only, percentile)
--   -> TABLE (_study, _depth, _n_cells, _n_pairs, _mean, _sd, _quantile)
-- Internal: what control sets of a signature score in the cells of each study and depth stratum (see calibration_sets and
-- calibration_cells): the mean, the standard deviation and a percentile of these scores (NULL without a percentile). A study
-- that measured none of the genes has no row.
-- Units:   of the score. _n_cells: the cells that were sampled.
-- Example: SELECT count(*) FROM sigdb_data.score_calibration(['CD3E'], NULL, 'mean', NULL, false, false, 99);  --> 1

CREATE OR REPLACE MACRO sigdb_data.score_calibration(
    genes, weights, agg, run, signed, measured_only, percentile
) AS TABLE
SELECT
    s._study, s._depth, count(DISTINCT s._cell) AS _n_cells, count(*) AS _n_pairs, avg(s._score) AS _mean,
    stddev_pop(s._score) AS _sd,
    CASE WHEN percentile IS NOT NULL THEN
        quantile_cont(s._score, CASE WHEN percentile BETWEEN 0 AND 100 THEN percentile / 100.0::DOUBLE ELSE 0 END)
    END AS _quantile
FROM (
    SELECT
        p._study, p._depth, p._cell,
        coalesce(v._score, 0) * CASE WHEN measured_only AND agg = 'mean' THEN k._factor ELSE 1 END AS _score
    FROM sigdb_data.calibration_cells(run) AS p
    JOIN (SELECT unnest(range(200)) AS _i) AS i ON i._i < p._n_sets
    JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON p._study = k._study
    LEFT JOIN (
        SELECT a._cell, c._control, sum(c._weight * a._value) AS _score
        FROM sigdb_data.calibration_values(genes, weights, agg, run, signed) AS a
        JOIN sigdb_data.calibration_sets(genes, weights, agg, run) AS c ON a._study = c._study AND a._gene = c._gene
        WHERE (c._control + 200 - a._first) % 200 < a._n_sets
        GROUP BY a._cell, c._control
    ) AS v ON p._cell = v._cell AND (p._first + i._i) % 200 = v._control
    WHERE k._n_measured > 0
) AS s
GROUP BY s._study, s._depth;
