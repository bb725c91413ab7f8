-- calibration_values(genes, weights, agg, run, signed) -> TABLE (_study, _cell, _first, _n_sets, _gene, _value)
-- Internal: the attributions of all control genes (see calibration_sets) in the cells in which control sets are scored (see
-- calibration_cells). The semi join lets the scan skip row groups without these genes.
-- Units:   |attribution|; with `signed`, attribution.
-- Example: SELECT sum(_value) FROM sigdb_data.calibration_values(['CD3E'], NULL, 'mean', NULL, true);  --> 13.0

CREATE OR REPLACE MACRO sigdb_data.calibration_values(genes, weights, agg, run, signed) AS TABLE
SELECT
    c._study, c._cell, c._first, c._n_sets, a._gene, CASE WHEN signed THEN a._score ELSE abs(a._score) END AS _value
FROM (
    SELECT q.run_id AS _run, q.gene_id AS _gene, q.cell_id AS _cell, q.score::DOUBLE AS _score
    FROM sigdb_data.attributions AS q
) AS a
JOIN sigdb_data.calibration_cells(run) AS c ON a._cell = c._cell
WHERE a._run IN (SELECT o._run FROM sigdb_data.run_of(run) AS o)
    AND a._gene IN (SELECT s._gene FROM sigdb_data.calibration_sets(genes, weights, agg, run) AS s);
