-- signature_scores(signatures, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false)
--   -> TABLE (signature, cell_id, score)
-- The importance of several signatures of the atlas's library (FROM signature_info) in every cell that the run has
-- attributed, all in one scan. Weights are those of the library. Scores that `sigdb signatures materialize` has kept
-- (FROM materialized_signatures) are read, not computed; they are rounded to FLOAT.
-- measured_only: divide by the genes alone that the cell's study measured; NULL where it measured none.
-- Units:   attribution, 1000 a cell in all; 0 where nothing is stored.
-- Errors:  an unknown signature, NULL or an empty list; otherwise those of signature_score, over all the signatures.
-- Example: SELECT score FROM signature_scores(['T_CELL']) WHERE cell_id = 1;  --> 9.0

CREATE OR REPLACE MACRO signature_scores(
    signatures, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false
) AS TABLE
SELECT s._signature AS signature, s._cell AS cell_id, s._score AS score
FROM sigdb_data.library_scores(signatures, agg, missing, run, signed, measured_only) AS s;
