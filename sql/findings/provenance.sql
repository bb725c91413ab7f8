-- provenance: how the scores of the run $run were made: model, method, versions, and the schema of the atlas.
SELECT
    r.run, m.model, m.architecture, m.checkpoint_sha256, m.n_genes AS model_genes, r.method, r.n_steps, r.baseline,
    r.summation, r.target_sum, r.is_signed, r.device, r.versions, r.started, r.finished,
    (SELECT q.value FROM sigdb_data.atlas_info AS q WHERE q.key = 'schema_version') AS atlas_schema
FROM sigdb_data.attribution_runs AS r
JOIN sigdb_data.run_of($run) AS o ON r.run_id = o._run
JOIN sigdb_data.models AS m ON r.model_id = m.model_id;
