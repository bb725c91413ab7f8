-- population_hits(genes, percentile, cells, weights, agg, missing, run, signed, measured_only) -> TABLE (_cell, _score, _cutoff)
-- Internal: the scores of a population, and on each row the percentile of them.
-- The check is a branch of its own, which adds no row: where the population is empty, nothing else is evaluated.
-- (The scores are computed twice: quantile_cont as a window now and then ends in an internal error on DuckDB 1.4.0.)
-- Units:   attribution, 1000 a cell in all.
-- Errors:  percentile not from 0 to 100; a population without scored cells.
-- Example: SELECT max(_cutoff) FROM sigdb_data.population_hits(['CD3E'], 100, 'cells', NULL, 'sum', 'error', NULL, false, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.population_hits(
    genes, percentile, cells, weights, agg, missing, run, signed, measured_only
) AS TABLE
SELECT s._cell, s._score, q._cutoff
FROM sigdb_data.scored_cells(genes, weights, agg, missing, run, signed, measured_only) AS s
SEMI JOIN (SELECT cell_id AS _cell FROM query_table(cells)) AS c ON s._cell = c._cell
CROSS JOIN (
    SELECT
        quantile_cont(t._score, CASE WHEN percentile BETWEEN 0 AND 100 THEN percentile / 100 ELSE 0 END) AS _cutoff
    FROM sigdb_data.scored_cells(genes, weights, agg, missing, run, signed, measured_only) AS t
    SEMI JOIN (SELECT cell_id AS _cell FROM query_table(cells)) AS d ON t._cell = d._cell
) AS q
UNION ALL
SELECT NULL, NULL, NULL
FROM sigdb_data.population_check(percentile, cells, run) AS e
WHERE e._error IS NOT NULL;
