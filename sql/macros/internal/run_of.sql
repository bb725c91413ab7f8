-- run_of(run) -> TABLE (_run, _model)
-- Internal: the attribution run with this name or id; for NULL, the default run of the atlas.
-- (A join instead of a scalar sub-query: with one, DuckDB 2.0 plans signature_terms once for every cell.)
-- Units:   none. No rows if the run does not exist, for which signature_check raises an error.
-- Example: SELECT _run FROM sigdb_data.run_of(NULL);  --> 0

CREATE OR REPLACE MACRO sigdb_data.run_of(run) AS TABLE
SELECT r._run, r._model
FROM (SELECT q.run_id AS _run, q.model_id AS _model, q.run AS _name FROM sigdb_data.attribution_runs AS q) AS r
JOIN (SELECT q.value AS _name FROM sigdb_data.atlas_info AS q WHERE q.key = 'default_run') AS d
    ON coalesce(run::VARCHAR, d._name) IN (r._name, r._run::VARCHAR);
