-- run_of(run) -> TABLE (_run, _model)
-- Internal: the attribution run that a query means: by name or id, or the atlas's default run for NULL.
-- (A join, not a scalar sub-query: with one in it, DuckDB 2.0 plans signature_terms once for every cell.)
-- Units:   none. No row where the run does not exist; signature_check raises on that.
-- Example: SELECT _run FROM sigdb_data.run_of(NULL);  --> 0

CREATE OR REPLACE MACRO sigdb_data.run_of(run) AS TABLE
SELECT r._run, r._model
FROM (SELECT q.run_id AS _run, q.model_id AS _model, q.run AS _name FROM sigdb_data.attribution_runs AS q) AS r
JOIN (SELECT q.value AS _name FROM sigdb_data.atlas_info AS q WHERE q.key = 'default_run') AS d
    ON coalesce(run::VARCHAR, d._name) IN (r._name, r._run::VARCHAR);
