-- signature_weights(name) -> DOUBLE[]
-- The weights of a signature of the atlas's library, in the order of signature_genes, as an argument for a score macro.
-- The name may be in any case. A name that is not in the library gives an empty list, which every score macro refuses. (It
-- cannot raise an error here: with error() in an argument, DuckDB 2.0 evaluates the argument once for every cell.)
-- Units:   as the signature gives them; 1 if it gives no weights.
-- Errors:  none.
-- Example: SELECT signature_weights('MYELOID');  --> [1.0, 0.5]

CREATE OR REPLACE MACRO signature_weights(name) AS (
    SELECT
        -- A library of an older sigdb may hold several names that differ in case only.
        CASE WHEN count(DISTINCT s._signature) = 1 THEN list(s._weight ORDER BY s._position ASC) ELSE []::DOUBLE[] END
    FROM (
        SELECT q.signature AS _signature, q.position AS _position, q.weight AS _weight
        FROM sigdb_data.signatures AS q
        WHERE q.signature = name OR (
            lower(q.signature) = lower(name) AND name NOT IN (SELECT e.signature FROM sigdb_data.signatures AS e)
        )
    ) AS s
);
