-- computed_values(signatures, agg, run, signed) -> TABLE (_signature, _cell, _value)
-- Internal: all terms of the scores of named signatures, and a 0 for each signature and each cell that the run has
-- attributed.
-- Units:   weighted attribution.
-- Example: SELECT sum(_value) FROM sigdb_data.computed_values(['T_CELL'], 'sum', NULL, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.computed_values(signatures, agg, run, signed) AS TABLE
SELECT v._signature, v._cell, v._value
FROM sigdb_data.signature_values(NULL, NULL, agg, run, signed, signatures) AS v
UNION ALL
SELECT s._signature, z._cell, 0.0 AS _value
FROM (SELECT DISTINCT unnest(sigdb_data.as_list(signatures)) AS _signature) AS s
CROSS JOIN sigdb_data.run_cells(run) AS z;
