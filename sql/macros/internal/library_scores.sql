-- library_scores(signatures, agg, missing, run, signed, measured_only) -> TABLE (_signature, _cell, _score)
-- Internal: the rows of signature_scores. Views call this macro, because a macro of the user cannot replace it.
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for signature_scores.
-- Example: SELECT _score FROM sigdb_data.library_scores(['T_CELL'], 'mean', 'error', NULL, false, false) WHERE _cell = 1;  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.library_scores(signatures, agg, missing, run, signed, measured_only) AS TABLE
SELECT
    s._signature, s._cell,
    CASE WHEN measured_only AND agg = 'mean' THEN s._score * f._factor ELSE s._score END AS _score
FROM (
    SELECT u._signature, u._cell, sum(u._value) AS _score
    FROM sigdb_data.computed_values(
        (
            SELECT list(n._signature)
            FROM (SELECT unnest(sigdb_data.as_list(signatures)) AS _signature) AS n
            WHERE n._signature NOT IN (SELECT m._signature FROM sigdb_data.materialized_of(signatures, run, signed) AS m)
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
WHERE (SELECT k._error FROM sigdb_data.signature_check(NULL, NULL, agg, missing, run, signed, signatures) AS k) IS NULL;
