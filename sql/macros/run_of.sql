-- run_of(run) -> TABLE (_run, _model)
-- Internal: the attribution run that a query means: by name or id, or the atlas's default run for NULL.
-- Units:   none. No row where the run does not exist; signature_check raises on that.
-- Example: SELECT _run FROM sigdb_data.run_of(NULL);  --> 0

CREATE OR REPLACE MACRO sigdb_data.run_of(run) AS TABLE
SELECT r._run, r._model
FROM (SELECT q.run_id AS _run, q.model_id AS _model, q.run AS _name FROM sigdb_data.attribution_runs AS q) AS r
WHERE coalesce(run::VARCHAR, (SELECT i.value FROM sigdb_data.atlas_info AS i WHERE i.key = 'default_run'))
    IN (r._name, r._run::VARCHAR);
