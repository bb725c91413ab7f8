-- name: find_run
-- The runs of a model with exactly these settings.
SELECT r.run_id, r.run
FROM sigdb_data.attribution_runs AS r
WHERE r.model_id = $model_id
    AND r.method = $method
    AND r.n_steps IS NOT DISTINCT FROM $n_steps
    AND r.baseline = $baseline
    AND r.summation = $summation
    AND r.target_sum = $target_sum
ORDER BY r.run_id;

-- name: add_run
-- Record a run; returns its id. versions: of the packages, in order.
INSERT INTO sigdb_data.attribution_runs (
    run_id, run, model_id, method, n_steps, baseline, summation, target_sum, device, versions, started
)
SELECT
    coalesce(max(q.run_id) + 1, 0), $run, $model_id, $method, $n_steps, $baseline, $summation, $target_sum, $device,
    map($packages, $versions), $started
FROM sigdb_data.attribution_runs AS q
RETURNING run_id;

-- name: run_names
-- The name of the run $run_id, and of the atlas's default run.
SELECT r.run, i.value
FROM sigdb_data.attribution_runs AS r CROSS JOIN sigdb_data.atlas_info AS i
WHERE r.run_id = $run_id AND i.key = 'default_run';

-- name: set_first_run_default
-- The run that queries mean unless they name one; only the first run of an atlas becomes it.
INSERT INTO sigdb_data.atlas_info (key, value) VALUES ('default_run', $run) ON CONFLICT (key) DO NOTHING;

-- name: run_id
-- The id of the run that $run means, a name, an id or NULL.
SELECT r._run FROM sigdb_data.run_of($run) AS r;

-- name: study_run
-- A row if the run $run_id holds the study $study.
SELECT 1
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
WHERE s.study = $study AND k.run_id = $run_id
LIMIT 1;

-- name: study_chunks
-- What the ledger says of the chunks of the run $run_id of the study $study.
SELECT k.chunk, k.n_scores, k.written
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
WHERE s.study = $study AND k.run_id = $run_id;

-- name: other_runs
-- The runs that hold the study $study, but for the run $run_id.
SELECT DISTINCT r.run
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
JOIN sigdb_data.attribution_runs AS r ON k.run_id = r.run_id
WHERE s.study = $study AND k.run_id <> $run_id
ORDER BY r.run;

-- name: add_model
-- Record a model; returns its id.
INSERT INTO sigdb_data.models (model_id, model, architecture, checkpoint_sha256, n_genes, latent_dim, description)
SELECT
    coalesce(max(q.model_id) + 1, 0), $model, $architecture, $checkpoint_sha256, $n_genes, $latent_dim, $description
FROM sigdb_data.models AS q
RETURNING model_id;

-- name: add_model_genes
-- The gene list of a model, in its order (sigdb_incoming: gene_id, position).
INSERT INTO sigdb_data.model_genes (model_id, gene_id, position)
SELECT $model_id, i.gene_id, i.position FROM sigdb_incoming AS i;

-- name: run_signs
-- The run $run_id, whether its scores have signs, and of how many studies other than $study it has any.
SELECT
    r.run, r.is_signed,
    (
        SELECT count(DISTINCT k.study_id)
        FROM sigdb_data.ingest_chunks AS k
        WHERE k.run_id = r.run_id AND k.study_id <> (SELECT t.study_id FROM sigdb_data.studies AS t WHERE t.study = $study)
    )
FROM sigdb_data.attribution_runs AS r
WHERE r.run_id = $run_id;

-- name: set_signs
-- Record whether the scores of the run $run_id have signs.
UPDATE sigdb_data.attribution_runs SET is_signed = $is_signed WHERE run_id = $run_id;
