-- signature_genes(name) -> VARCHAR[]
-- The genes of a signature of the atlas's library, in the order in which they were added, as an argument for a score macro.
-- The name may be in any case. A name that is not in the library gives an empty list, which every score macro refuses. (It
-- cannot raise an error here: with error() in an argument, DuckDB 2.0 evaluates the argument once for every cell.)
-- Units:   none.
-- Errors:  none.
-- Example: SELECT signature_genes('MYELOID');  --> ['S100A8', 'S100A9']

CREATE OR REPLACE MACRO signature_genes(name) AS (
    SELECT
        -- A library of an older sigdb may hold several names that differ in case only.
        CASE WHEN count(DISTINCT s._signature) = 1 THEN list(s._gene ORDER BY s._position ASC) ELSE []::VARCHAR[] END
    FROM (
        SELECT q.signature AS _signature, q.position AS _position, q.gene AS _gene
        FROM sigdb_data.signatures AS q
        WHERE q.signature = name OR (
            lower(q.signature) = lower(name) AND name NOT IN (SELECT e.signature FROM sigdb_data.signatures AS e)
        )
    ) AS s
);
