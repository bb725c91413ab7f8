-- name: match_rows
-- The cells that each row of an annotation (sigdb_rows: position, and the texts that name cells) names, in the study
-- $study, or in all studies if it is NULL. ingest/annotate/match.py puts the columns that name cells, as a list of texts, in
-- the place of key_columns.
SELECT c.cell_id, r.position
FROM (SELECT q.cell_id, key_columns AS key FROM cells AS q WHERE $study IS NULL OR q.study = $study) AS c
JOIN (SELECT q.position, key_columns AS key FROM sigdb_rows AS q) AS r ON c.key = r.key
ORDER BY c.cell_id ASC;

-- name: some_keys
-- What some cells of the study $study (NULL: of all studies) are called. key_columns: as in match_rows.
SELECT DISTINCT key_columns AS key FROM cells AS q WHERE $study IS NULL OR q.study = $study ORDER BY key ASC LIMIT 3;

-- name: cell_columns
-- The columns of the view `cells`, with their types.
SELECT d.column_name, d.column_type FROM (DESCRIBE SELECT * FROM cells) AS d;

-- name: studies
-- The names of the studies.
SELECT t.study FROM studies AS t ORDER BY t.study_id ASC;

-- name: touched_studies
-- The studies of the cells of an annotation (sigdb_annotation: cell_id), how many cells they have, and how many of them
-- the annotation names.
SELECT t.study_id, t.study, count(*) AS n_cells, count(v.cell_id) AS n_named
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id
LEFT JOIN sigdb_annotation AS v ON c.cell_id = v.cell_id
GROUP BY t.study_id, t.study
HAVING count(v.cell_id) > 0
ORDER BY t.study_id ASC;

-- name: new_values
-- The commonest values of a column that an annotation (sigdb_annotation) adds to the atlas, as in `changes`.
WITH counted AS (
    SELECT v.value_column::VARCHAR AS new, count(*) AS n
    FROM sigdb_annotation AS v
    WHERE v.value_column IS NOT NULL
    GROUP BY new
)
SELECT NULL AS old, c.new, c.n, t.n_cells, t.n_changes
FROM counted AS c
CROSS JOIN (SELECT sum(n)::BIGINT AS n_cells, count(*) AS n_changes FROM counted) AS t
ORDER BY c.n DESC, c.new ASC
LIMIT 3;

-- name: changes
-- The commonest changes of a column by an annotation (sigdb_annotation), with the number of all cells that change and of
-- all different changes. Empty values change nothing unless $clear. ingest/annotate/annotate.py puts the column in the
-- place of value_column.
WITH counted AS (
    SELECT c.value_column::VARCHAR AS old, v.value_column::VARCHAR AS new, count(*) AS n
    FROM sigdb_annotation AS v
    JOIN cells AS c ON v.cell_id = c.cell_id
    WHERE c.value_column::VARCHAR IS DISTINCT FROM v.value_column::VARCHAR AND ($clear OR v.value_column IS NOT NULL)
    GROUP BY old, new
)
SELECT c.old, c.new, c.n, t.n_cells, t.n_changes
FROM counted AS c
CROSS JOIN (SELECT sum(n)::BIGINT AS n_cells, count(*) AS n_changes FROM counted) AS t
ORDER BY c.n DESC, c.old ASC, c.new ASC
LIMIT 3;

-- name: place_cells
-- All cells of the studies of an annotation, with the fields of their samples after it (sigdb_annotation: cell_id and all
-- fields of samples; NULL changes nothing, except in the fields $cleared).
CREATE OR REPLACE TEMP TABLE sigdb_placed AS
SELECT
    c.cell_id, s.study_id, coalesce(v.sample, s.sample) AS sample,
    CASE WHEN v.cell_id IS NOT NULL AND list_contains($cleared, 'donor') THEN v.donor ELSE coalesce(v.donor, s.donor) END AS donor,
    CASE WHEN v.cell_id IS NOT NULL AND list_contains($cleared, 'tissue') THEN v.tissue ELSE coalesce(v.tissue, s.tissue) END AS tissue,
    CASE WHEN v.cell_id IS NOT NULL AND list_contains($cleared, 'disease') THEN v.disease ELSE coalesce(v.disease, s.disease) END AS disease,
    CASE WHEN v.cell_id IS NOT NULL AND list_contains($cleared, 'assay') THEN v.assay ELSE coalesce(v.assay, s.assay) END AS assay,
    CASE WHEN v.cell_id IS NOT NULL AND list_contains($cleared, 'sex') THEN v.sex ELSE coalesce(v.sex, s.sex) END AS sex,
    CASE WHEN v.cell_id IS NOT NULL AND list_contains($cleared, 'development_stage') THEN v.development_stage ELSE coalesce(v.development_stage, s.development_stage) END AS development_stage,
    CASE WHEN v.cell_id IS NOT NULL AND list_contains($cleared, 'in_vivo') THEN v.in_vivo ELSE coalesce(v.in_vivo, s.in_vivo) END AS in_vivo
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
LEFT JOIN sigdb_annotation AS v ON c.cell_id = v.cell_id
WHERE list_contains($study_ids, s.study_id);

-- name: placed_samples
-- The different fields of samples among the placed cells.
SELECT DISTINCT p.* EXCLUDE (cell_id) FROM sigdb_placed AS p ORDER BY ALL ASC;

-- name: move_cells
-- Move placed cells to their samples (sigdb_samples: study_id, the fields in sigdb_placed, and new_sample, the name of the
-- sample). Returns how many cells moved.
UPDATE sigdb_data.cell_data AS c SET sample_id = m.sample_id
FROM (
    SELECT p.cell_id, s.sample_id
    FROM sigdb_placed AS p
    JOIN sigdb_samples AS d ON p.study_id = d.study_id AND p.sample = d.sample
        AND p.donor IS NOT DISTINCT FROM d.donor AND p.tissue IS NOT DISTINCT FROM d.tissue
        AND p.disease IS NOT DISTINCT FROM d.disease AND p.assay IS NOT DISTINCT FROM d.assay
        AND p.sex IS NOT DISTINCT FROM d.sex AND p.development_stage IS NOT DISTINCT FROM d.development_stage
        AND p.in_vivo IS NOT DISTINCT FROM d.in_vivo
    JOIN sigdb_data.samples AS s ON d.study_id = s.study_id AND d.new_sample = s.sample
) AS m
WHERE c.cell_id = m.cell_id AND c.sample_id <> m.sample_id;

-- name: drop_placed
-- Remove the table of placed cells.
DROP TABLE sigdb_placed;

-- name: set_column
-- Change a column of cell_data to the values of an annotation (sigdb_annotation: cell_id and the column). Empty values
-- change nothing unless $clear. ingest/annotate/annotate.py puts the column in the place of value_column.
UPDATE sigdb_data.cell_data AS c SET value_column = v.value_column
FROM sigdb_annotation AS v
WHERE c.cell_id = v.cell_id AND ($clear OR v.value_column IS NOT NULL);

-- name: drop_column
-- Remove a column of cell_data. ingest/annotate/annotate.py puts the column in the place of value_column.
ALTER TABLE sigdb_data.cell_data DROP COLUMN value_column;

-- name: samples_of
-- The samples of the studies $study_ids, as atlas/derived.clear_sums takes them.
SELECT s.sample_id FROM sigdb_data.samples AS s WHERE list_contains($study_ids, s.study_id);

-- name: runs_of
-- The runs that have scores of the study $study_id, and its first and last cell.
SELECT r.run_id, min(c.cell_id), max(c.cell_id)
FROM sigdb_data.attributed_cells AS r
JOIN sigdb_data.cell_data AS c ON r.cell_id = c.cell_id
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
WHERE s.study_id = $study_id
GROUP BY r.run_id
ORDER BY r.run_id ASC;
