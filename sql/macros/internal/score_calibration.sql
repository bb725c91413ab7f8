-- score_calibration(genes, weights, agg, run, signed, measured_only, percentile)
--   -> TABLE (_study, _depth, _n_cells, _n_pairs, _mean, _sd, _quantile)
-- Internal: what control sets of a signature score in the cells of each study and depth stratum (see calibration_sets and
-- calibration_pairs): the mean, the standard deviation and a percentile of these scores. A study that measured none of the
-- genes has no row.
-- Units:   of the score. _n_cells: the cells that were sampled.
-- Example: SELECT count(*) FROM sigdb_data.score_calibration(['CD3E'], NULL, 'mean', NULL, false, false, 99);  --> 1

CREATE OR REPLACE MACRO sigdb_data.score_calibration(
    genes, weights, agg, run, signed, measured_only, percentile
) AS TABLE
SELECT
    s._study, s._depth, count(DISTINCT s._cell) AS _n_cells, count(*) AS _n_pairs, avg(s._score) AS _mean,
    stddev_pop(s._score) AS _sd,
    quantile_cont(s._score, CASE WHEN percentile BETWEEN 0 AND 100 THEN percentile / 100 ELSE 0 END) AS _quantile
FROM (
    SELECT
        p._study, p._depth, p._cell,
        coalesce(v._score, 0) * CASE WHEN measured_only AND agg = 'mean' THEN k._factor ELSE 1 END AS _score
    FROM sigdb_data.calibration_pairs(run) AS p
    JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON p._study = k._study
    LEFT JOIN (
        SELECT q._cell, q._control, sum(c._weight * CASE WHEN signed THEN a._score ELSE abs(a._score) END) AS _score
        FROM sigdb_data.calibration_pairs(run) AS q
        JOIN sigdb_data.calibration_sets(genes, weights, agg, run) AS c
            ON q._study = c._study AND q._control = c._control
        JOIN (
            SELECT b.gene_id AS _gene, b.cell_id AS _cell, b.score::DOUBLE AS _score
            FROM sigdb_data.attributions AS b JOIN sigdb_data.run_of(run) AS o ON b.run_id = o._run
        ) AS a ON c._gene = a._gene AND q._cell = a._cell
        GROUP BY q._cell, q._control
    ) AS v ON p._cell = v._cell AND p._control = v._control
    WHERE k._n_measured > 0
) AS s
GROUP BY s._study, s._depth;
