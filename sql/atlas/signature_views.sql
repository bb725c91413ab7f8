-- name: create_schemas
-- The schemas of the views.
CREATE SCHEMA IF NOT EXISTS cell_scores;
CREATE SCHEMA IF NOT EXISTS sample_scores;

-- name: drop_schemas
-- Drop the schemas of the views, after the last view.
DROP SCHEMA cell_scores;
DROP SCHEMA sample_scores;

-- name: drop_view
-- sigdb/atlas/views.py puts in the quoted name of a view.
DROP VIEW signature_view;

-- name: view_names
-- The signatures that have views, sorted.
SELECT v.view_name
FROM duckdb_views() AS v
WHERE v.schema_name = 'cell_scores' AND v.database_name = current_database()
ORDER BY v.view_name ASC;

-- name: cell_comments
-- The columns of the view `cells`, with their comments.
SELECT c.column_name, c.comment
FROM duckdb_columns() AS c
WHERE c.schema_name = 'main' AND c.table_name = 'cells' AND c.database_name = current_database();

-- name: cell_columns
-- The names of the columns of the view `cells`, in order.
DESCRIBE cells;

-- name: cell_scores
-- The view of a signature with one row per cell. sigdb/atlas/views.py sets the name of the signature, and replaces `cells`
-- by its definition: a view resolves names outside sigdb_data in the search path of the client, not of the atlas.
SELECT s._score AS score
FROM sigdb_data.library_scores([$signature], 'mean', 'ignore', NULL, FALSE, FALSE) AS s
JOIN cells AS c ON s._cell = c.cell_id;

-- name: sample_scores
-- The view of a signature with one row per sample and cell type, as in signature_by_sample. All names are in sigdb_data.
SELECT
    s._study AS study, s._name AS sample, s._donor AS donor, s._tissue AS tissue, s._disease AS disease,
    s._type AS cell_type, s._n AS n_cells, s._score AS score, s._n_genes AS n_genes, s._n_measured AS n_measured
FROM sigdb_data.sample_scores(
    (SELECT list(q.gene ORDER BY q.position ASC) FROM sigdb_data.signatures AS q WHERE q.signature = $signature),
    (SELECT list(q.weight ORDER BY q.position ASC) FROM sigdb_data.signatures AS q WHERE q.signature = $signature),
    'mean', 'ignore', NULL, FALSE, FALSE, 0
) AS s;
