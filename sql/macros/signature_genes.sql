-- signature_genes(name) -> VARCHAR[]
-- The genes of a signature of the atlas's library, in the order they were added, to pass on to a score macro.
-- Units:   none.
-- Errors:  a name that is not in the library.
-- Example: SELECT signature_genes('MYELOID');  --> ['S100A8', 'S100A9']

CREATE OR REPLACE MACRO signature_genes(name) AS (
    SELECT CASE
        WHEN g._values IS NULL
            THEN error('No such signature: ' || coalesce(name, 'NULL') || '. FROM signature_info lists those of this atlas.')
        ELSE g._values
    END
    FROM (
        SELECT list(s._gene ORDER BY s._position) AS _values
        FROM (
            SELECT q.signature AS _signature, q.position AS _position, q.gene AS _gene FROM sigdb_data.signatures AS q
        ) AS s
        WHERE s._signature = name
    ) AS g
);
