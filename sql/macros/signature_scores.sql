-- signature_scores(signatures, agg := 'mean', missing := 'error', run := NULL, signed := false) -> TABLE (signature, cell_id, score)
-- The importance of several signatures of the atlas's library (FROM signature_info) in every cell that the run has
-- attributed, all in one query. Weights are those of the library.
-- Units:   attribution, 1000 a cell in all; 0 where nothing is stored.
-- Errors:  an unknown signature, NULL or an empty list; otherwise those of signature_score, over all the signatures.
-- Example: SELECT score FROM signature_scores(['T_CELL']) WHERE cell_id = 1;  --> 9.0

CREATE OR REPLACE MACRO signature_scores(
    signatures, agg := 'mean', missing := 'error', run := NULL, signed := false
) AS TABLE
SELECT u._signature AS signature, u._cell AS cell_id, sum(u._value) AS score
FROM (
    SELECT v._signature, v._cell, v._value
    FROM sigdb_data.signature_values(NULL, NULL, agg, run, signed, signatures) AS v
    UNION ALL
    SELECT s._signature, z._cell, 0.0 AS _value
    FROM (SELECT DISTINCT unnest(signatures)::VARCHAR AS _signature) AS s
    CROSS JOIN sigdb_data.run_cells(run) AS z
    WHERE (SELECT k._error FROM sigdb_data.signature_check(NULL, NULL, agg, missing, run, signatures) AS k) IS NULL
) AS u
GROUP BY u._signature, u._cell;
