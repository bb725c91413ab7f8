-- materialized_of(signatures, run, signed) -> TABLE (_signature, _id, _total)
-- Internal: those of the named signatures whose scores in a run are kept in signature_cells; none for signed scores. What
-- writes to an atlas keeps them up to date, so they need no check here.
-- Units:   _total: sum of |weight|, by which a mean becomes a sum.
-- Example: SELECT count(*) FROM sigdb_data.materialized_of(['T_CELL'], NULL, false);  --> 0

CREATE OR REPLACE MACRO sigdb_data.materialized_of(signatures, run, signed) AS TABLE
SELECT m.signature AS _signature, m.materialized_id AS _id, m.total_weight AS _total
FROM sigdb_data.materialized_signatures AS m
JOIN sigdb_data.run_of(run) AS o ON m.run_id = o._run
WHERE list_contains(signatures, m.signature) AND NOT signed;
