-- cell_values(genes, weights, agg, missing, run, signed) -> TABLE (_cell, _value)
-- Internal: signature_values, and one 0 for each cell that the run has attributed. So a cell without stored attributions
-- scores 0, and a cell that the run has not attributed has no score. The zeros carry the check of the arguments. (With a
-- check inside the branches, DuckDB 2.0 would plan them once for every cell in the scalar macro.)
-- Units:   weighted attribution.
-- Errors:  as for signature_check.
-- Example: SELECT sum(_value) FROM sigdb_data.cell_values(['CD3E'], NULL, 'sum', 'error', NULL, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.cell_values(genes, weights, agg, missing, run, signed) AS TABLE
SELECT v._cell, v._value
FROM sigdb_data.signature_values(genes, weights, agg, run, signed, NULL) AS v
UNION ALL
SELECT z._cell, 0.0 AS _value
FROM sigdb_data.run_cells(run) AS z
WHERE (SELECT k._error FROM sigdb_data.signature_check(genes, weights, agg, missing, run, signed, NULL) AS k) IS NULL;
