-- signature_score(genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false)
--   -> TABLE (cell_id, score)
-- The importance of a gene signature in every cell that the run has attributed. Options, units and errors are as for the
-- scalar signature_score. This form is faster over a whole atlas.
-- measured_only: divide by the genes that the cell's study measured; NULL if it measured none.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. 0 if nothing is stored.
-- Where:   in FROM, also lateral: FROM lists AS l, signature_score(l.genes). Every row of the
--          plan then carries its list. With many genes or lists that takes much memory, so use signature_scores for
--          signatures of the library. DuckDB 2.0.0 can end such a query with an INTERNAL error; 2.0.1 does not.
-- Errors:  as for the scalar form.
-- Example: SELECT score FROM signature_score(['S100A8', 'S100A9']) ORDER BY cell_id ASC LIMIT 1;  --> 4.0

CREATE OR REPLACE MACRO signature_score(
    genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false
) AS TABLE
SELECT s._cell AS cell_id, s._score AS score
FROM sigdb_data.scored_cells(genes, weights, agg, missing, run, signed, measured_only) AS s;
