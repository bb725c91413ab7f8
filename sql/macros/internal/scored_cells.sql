-- scored_cells(genes, weights, agg, missing, run, signed, measured_only) -> TABLE (_cell, _score)
-- Internal: the score of every cell that the run has attributed.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. With measured_only, NULL if the
--          cell's study measured none of the genes.
-- Errors:  as for signature_check.
-- Example: SELECT max(_score) FROM sigdb_data.scored_cells(['CD3E'], NULL, 'mean', 'error', NULL, false, true);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.scored_cells(genes, weights, agg, missing, run, signed, measured_only) AS TABLE
SELECT s._cell, CASE WHEN measured_only AND agg = 'mean' THEN s._score * f._factor ELSE s._score END AS _score
FROM (
    SELECT v._cell, sum(v._value) AS _score
    FROM sigdb_data.cell_values(genes, weights, agg, missing, run, signed) AS v
    GROUP BY v._cell
) AS s
LEFT JOIN sigdb_data.measured_factors(genes, weights, agg, run, NULL, measured_only) AS f ON s._cell = f._cell;
