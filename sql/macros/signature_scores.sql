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
SELECT
    s._signature AS signature, s._cell AS cell_id,
    CASE WHEN measured_only AND agg = 'mean' THEN s._score * f._factor ELSE s._score END AS score
FROM (
    SELECT u._signature, u._cell, sum(u._value) AS _score
    FROM sigdb_data.computed_values(
        (
            SELECT list(n._signature)
            FROM (SELECT unnest(signatures)::VARCHAR AS _signature) AS n
            ANTI JOIN sigdb_data.materialized_of(signatures, run, signed) AS m ON n._signature = m._signature
        ), agg, run, signed
    ) AS u
    GROUP BY u._signature, u._cell
    UNION ALL
    SELECT m._signature, q.cell_id, q.score * CASE WHEN agg = 'sum' THEN m._total ELSE 1 END
    FROM sigdb_data.signature_cells AS q
    JOIN sigdb_data.materialized_of(signatures, run, signed) AS m ON q.materialized_id = m._id
) AS s
LEFT JOIN sigdb_data.measured_factors(NULL, NULL, agg, run, signatures, measured_only) AS f
    ON s._signature = f._signature AND s._cell = f._cell
WHERE (SELECT k._error FROM sigdb_data.signature_check(NULL, NULL, agg, missing, run, signatures) AS k) IS NULL;
