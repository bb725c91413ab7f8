-- add_model: record a model; returns its id.
INSERT INTO sigdb_data.models (model_id, model, architecture, checkpoint_sha256, n_genes, latent_dim, description)
SELECT
    coalesce(max(q.model_id) + 1, 0), $model, $architecture, $checkpoint_sha256, $n_genes, $latent_dim, $description
FROM sigdb_data.models AS q
RETURNING model_id;
