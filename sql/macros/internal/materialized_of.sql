-- materialized_of(signatures, run, signed) -> TABLE (_signature, _id, _total)
-- Internal: the given signatures whose scores in a run are stored in signature_cells. No rows if signed scores are asked for.
-- All writes to an atlas keep these scores up to date, so they are not checked here.
-- Units:   _total: the sum of |weight|, which turns a mean into a sum.
-- Example: SELECT count(*) FROM sigdb_data.materialized_of(['T_CELL'], NULL, false);  --> 0

CREATE OR REPLACE MACRO sigdb_data.materialized_of(signatures, run, signed) AS TABLE
SELECT m.signature AS _signature, m.materialized_id AS _id, m.total_weight AS _total
FROM sigdb_data.materialized_signatures AS m
JOIN sigdb_data.run_of(run) AS o ON m.run_id = o._run
WHERE list_contains(sigdb_data.as_list(signatures), m.signature) AND NOT signed;
