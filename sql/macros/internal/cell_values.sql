-- cell_values(genes, weights, agg, missing, run, signed) -> TABLE (_cell, _value)
-- Internal: signature_values plus one 0 for each cell that the run has attributed, so that a cell in which nothing is
-- stored scores 0 and a cell that the run never saw has no score at all. The zeros carry the check of what was asked.
-- (On DuckDB 2.0 a check inside the branches would make the scalar macro plan them once for every cell.)
-- Units:   weighted attribution.
-- Errors:  those of signature_check.
-- Example: SELECT sum(_value) FROM sigdb_data.cell_values(['CD3E'], NULL, 'sum', 'error', NULL, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.cell_values(genes, weights, agg, missing, run, signed) AS TABLE
SELECT v._cell, v._value
FROM sigdb_data.signature_values(genes, weights, agg, run, signed, NULL) AS v
UNION ALL
SELECT z._cell, 0.0 AS _value
FROM sigdb_data.run_cells(run) AS z
WHERE (SELECT k._error FROM sigdb_data.signature_check(genes, weights, agg, missing, run, signed, NULL) AS k) IS NULL;
