-- signature_scores(signatures, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false)
--   -> TABLE (signature, cell_id, score)
-- The importance of several signatures of the atlas's library in every cell that the run has attributed, in one scan.
-- signature_info lists the signatures. The library gives the weights. Materialised scores (see the view
-- materialized_signatures) are read, not computed; they are rounded to FLOAT.
-- signatures: names as they are in the library, upper and lower case included. For another case, the error suggests the name.
--          signature_genes takes any case, but here a look-up of the names would cost too much: DuckDB writes an argument out
--          wherever a macro uses it, and the time of a query of one signature doubled (0.18 to 0.35 s in the demo atlas).
-- measured_only: divide by the genes that the cell's study measured; NULL if it measured none.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. 0 if nothing is stored.
-- Errors:  an unknown signature, NULL or an empty list; otherwise as for signature_score, over all signatures.
-- Example: SELECT score FROM signature_scores(['T_CELL']) WHERE cell_id = 1;  --> 9.0

CREATE OR REPLACE MACRO signature_scores(
    signatures, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false
) AS TABLE
SELECT s._signature AS signature, s._cell AS cell_id, s._score AS score
FROM sigdb_data.library_scores(signatures, agg, missing, run, signed, measured_only) AS s;
