-- signature_weights(name) -> DOUBLE[]
-- The weights of a signature of the atlas's library, in the order they were added, to pass on to a score macro.
-- Units:   as the signature gives them; 1 where it gives none.
-- Errors:  a name that is not in the library.
-- Example: SELECT signature_weights('MYELOID');  --> [1.0, 0.5]

CREATE OR REPLACE MACRO signature_weights(name) AS (
    SELECT CASE
        WHEN g._values IS NULL
            THEN error('No such signature: ' || coalesce(name, 'NULL') || '. FROM signature_info lists those of this atlas.')
        ELSE g._values
    END
    FROM (
        SELECT list(s._weight ORDER BY s._position) AS _values
        FROM (
            SELECT q.signature AS _signature, q.position AS _position, q.weight AS _weight FROM sigdb_data.signatures AS q
        ) AS s
        WHERE s._signature = name
    ) AS g
);
