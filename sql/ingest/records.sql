-- name: find_run
-- The runs of a model with exactly these settings, by id.
SELECT r.run_id, r.run
FROM sigdb_data.attribution_runs AS r
WHERE r.model_id = $model_id
    AND r.method = $method
    AND r.n_steps IS NOT DISTINCT FROM $n_steps
    AND r.baseline = $baseline
    AND r.summation = $summation
    AND r.target_sum = $target_sum
ORDER BY r.run_id ASC;

-- name: find_run_name
-- One row if a run is called $run.
SELECT r.run_id FROM sigdb_data.attribution_runs AS r WHERE r.run = $run;

-- name: add_run
-- Record a run; returns its id. packages, versions: names and versions of packages, in the same order.
INSERT INTO sigdb_data.attribution_runs (
    run_id, run, model_id, method, n_steps, baseline, summation, target_sum, device, versions, started
)
SELECT
    coalesce(max(q.run_id) + 1, 0), $run, $model_id, $method, $n_steps, $baseline, $summation, $target_sum, $device,
    map($packages, $versions), $started
FROM sigdb_data.attribution_runs AS q
RETURNING run_id;

-- name: run_names
-- The name of the run $run_id, and the name of the atlas's default run.
SELECT r.run, i.value
FROM sigdb_data.attribution_runs AS r CROSS JOIN sigdb_data.atlas_info AS i
WHERE r.run_id = $run_id AND i.key = 'default_run';

-- name: set_first_run_default
-- Make $run the run that queries use unless they name another one. Only the first run of an atlas becomes the default.
INSERT INTO sigdb_data.atlas_info (key, value) VALUES ('default_run', $run) ON CONFLICT (key) DO NOTHING;

-- name: finish_run
-- Record when scores were last added to the run $run_id.
UPDATE sigdb_data.attribution_runs SET finished = $finished WHERE run_id = $run_id;

-- name: run_id
-- The id of the run $run: a name, an id, or NULL for the default run.
SELECT r._run FROM sigdb_data.run_of($run) AS r;

-- name: study_run
-- One row if the run $run_id has scores of the study $study.
SELECT 1
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
WHERE s.study = $study AND k.run_id = $run_id
LIMIT 1;

-- name: study_chunks
-- The ledger entries of the study $study in the run $run_id.
SELECT k.chunk, k.n_scores, k.written
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
WHERE s.study = $study AND k.run_id = $run_id;

-- name: other_runs
-- The runs other than $run_id that have scores of the study $study.
SELECT DISTINCT r.run
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
JOIN sigdb_data.attribution_runs AS r ON k.run_id = r.run_id
WHERE s.study = $study AND k.run_id <> $run_id
ORDER BY r.run ASC;

-- name: find_model
-- The model with this checkpoint, if the atlas has it.
SELECT m.model_id FROM sigdb_data.models AS m WHERE m.checkpoint_sha256 = $checkpoint_sha256;

-- name: model_name
-- The name of the model $model_id.
SELECT m.model FROM sigdb_data.models AS m WHERE m.model_id = $model_id;

-- name: find_model_name
-- One row if a model is called $model.
SELECT m.model_id FROM sigdb_data.models AS m WHERE m.model = $model;

-- name: add_model
-- Record a model; returns its id.
INSERT INTO sigdb_data.models (model_id, model, architecture, checkpoint_sha256, n_genes, latent_dim, description)
SELECT
    coalesce(max(q.model_id) + 1, 0), $model, $architecture, $checkpoint_sha256, $n_genes, $latent_dim, $description
FROM sigdb_data.models AS q
RETURNING model_id;

-- name: model_genes
-- The gene list of the model $model_id, in its order.
SELECT g.gene_id FROM sigdb_data.model_genes AS g WHERE g.model_id = $model_id ORDER BY g.position ASC;

-- name: add_model_genes
-- Record the gene list of a model (sigdb_incoming: gene_id, position).
INSERT INTO sigdb_data.model_genes (model_id, gene_id, position)
SELECT $model_id, i.gene_id, i.position FROM sigdb_incoming AS i;

-- name: run_signs
-- The name of the run $run_id, whether its scores are signed, and its number of studies other than $study.
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
-- Record whether the scores of the run $run_id are signed.
UPDATE sigdb_data.attribution_runs SET is_signed = $is_signed WHERE run_id = $run_id;
