-- name: cluster
-- Sort the attributions by (run, gene, cell), so that a query reads only the row groups of its genes. This makes a new
-- table, with the same definition as in sql/schema.sql.
ALTER TABLE sigdb_data.attributions RENAME TO attributions_before;
CREATE TABLE sigdb_data.attributions (
    run_id UINTEGER USING COMPRESSION RLE,
    gene_id UINTEGER USING COMPRESSION RLE,
    cell_id UINTEGER USING COMPRESSION BITPACKING,
    score FLOAT
);
INSERT INTO sigdb_data.attributions BY NAME FROM sigdb_data.attributions_before ORDER BY run_id ASC, gene_id ASC, cell_id ASC;
DROP TABLE sigdb_data.attributions_before;

-- name: clear_summary
-- Empty the cube and the group sizes.
DELETE FROM sigdb_data.attribution_summary;
DELETE FROM sigdb_data.group_sizes;

-- name: clear_importance
-- Empty the sums for gene_importance, and their groups.
DELETE FROM sigdb_data.importance_sums;
DELETE FROM sigdb_data.importance_groups;

-- name: add_summary
-- Add the cube of a run for the cells from $first to $last: exact sums per sample, cell type and gene, of the stored
-- FLOAT scores, in double precision.
INSERT INTO sigdb_data.attribution_summary (
    run_id, sample_id, cell_type, gene_id, n_nonzero, sum_abs, sum_signed, sum_sq
)
SELECT
    a.run_id, c.sample_id, c.cell_type, a.gene_id, count(*),
    sum(abs(a.score::DOUBLE)), sum(a.score::DOUBLE), sum(a.score::DOUBLE * a.score::DOUBLE)
FROM sigdb_data.attributions AS a
JOIN sigdb_data.cell_data AS c ON a.cell_id = c.cell_id
WHERE a.run_id = $run_id AND a.cell_id BETWEEN $first AND $last
GROUP BY a.run_id, c.sample_id, c.cell_type, a.gene_id
ORDER BY a.gene_id ASC, c.sample_id ASC, c.cell_type ASC;

-- name: add_group_sizes
-- Add the number of cells per sample and cell type, among the cells from $first to $last of a run.
INSERT INTO sigdb_data.group_sizes (run_id, sample_id, cell_type, n_cells)
SELECT r.run_id, c.sample_id, c.cell_type, count(*)
FROM sigdb_data.attributed_cells AS r
JOIN sigdb_data.cell_data AS c ON r.cell_id = c.cell_id
WHERE r.run_id = $run_id AND r.cell_id BETWEEN $first AND $last
GROUP BY r.run_id, c.sample_id, c.cell_type
ORDER BY c.sample_id ASC, c.cell_type ASC;

-- name: add_importance_groups
-- Number the groups of the run $run_id and the study $study_id, whose cells are in group_sizes.
INSERT INTO sigdb_data.importance_groups (
    group_id, run_id, study_id, cell_type, disease, tissue, all_types, one_condition, all_conditions
)
SELECT
    (SELECT coalesce(max(q.group_id) + 1, 0) FROM sigdb_data.importance_groups AS q) + g._number - 1,
    g._run, g._study, g._type, g._disease, g._tissue, g._all_types, g._one_condition, g._all_conditions
FROM sigdb_data.importance_groups_of($run_id, $study_id) AS g
ORDER BY g._number ASC;

-- name: add_importance_sums
-- Add up the cube for the groups of the run $run_id and the study $study_id. The rows of a group, one per gene, lie
-- together.
INSERT INTO sigdb_data.importance_sums (group_id, gene_id, n_nonzero, sum_abs, sum_signed)
SELECT s._group, s._gene, s._n_nonzero, s._sum_abs, s._sum_signed
FROM sigdb_data.importance_sums_of($run_id, $study_id) AS s
ORDER BY s._group ASC, s._gene ASC;

-- name: clear_study
-- Remove all cells of a study, with their scores in all runs, the sums, the measured genes and the ledger.
-- sigdb_dropped_cells (cell_id) names its cells, sigdb_dropped_samples (study_id, sample_id) its samples. Genes, models,
-- runs, columns of cell_data and the ids of all other studies stay.
DELETE FROM sigdb_data.attributions WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.attributed_cells WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.signature_cells WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.cell_data WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.attribution_summary WHERE sample_id IN (SELECT d.sample_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.group_sizes WHERE sample_id IN (SELECT d.sample_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.importance_sums WHERE group_id IN (
    SELECT q.group_id FROM sigdb_data.importance_groups AS q
    WHERE q.study_id IN (SELECT d.study_id FROM sigdb_dropped_samples AS d)
);
DELETE FROM sigdb_data.importance_groups WHERE study_id IN (SELECT d.study_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.unread_genes WHERE study_id IN (SELECT d.study_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.study_genes WHERE study_id IN (SELECT d.study_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.ingest_chunks WHERE study_id IN (SELECT d.study_id FROM sigdb_dropped_samples AS d);

-- name: clear_sums
-- Remove the sums of the samples of sigdb_samples (sample_id): their rows of the cube and of the group sizes.
DELETE FROM sigdb_data.attribution_summary WHERE sample_id IN (SELECT d.sample_id FROM sigdb_samples AS d);
DELETE FROM sigdb_data.group_sizes WHERE sample_id IN (SELECT d.sample_id FROM sigdb_samples AS d);

-- name: clear_study_importance
-- Remove the sums for gene_importance of the studies of sigdb_summed (study_id), and their groups.
DELETE FROM sigdb_data.importance_sums WHERE group_id IN (
    SELECT q.group_id FROM sigdb_data.importance_groups AS q
    WHERE q.study_id IN (SELECT d.study_id FROM sigdb_summed AS d)
);
DELETE FROM sigdb_data.importance_groups WHERE study_id IN (SELECT d.study_id FROM sigdb_summed AS d);

-- name: run_ids
-- The ids of the attribution runs, in order.
SELECT r.run_id FROM sigdb_data.attribution_runs AS r ORDER BY r.run_id ASC;

-- name: summed_studies
-- The runs and studies that the cube has sums of, in order.
SELECT DISTINCT q.run_id, s.study_id
FROM sigdb_data.group_sizes AS q
JOIN sigdb_data.samples AS s ON q.sample_id = s.sample_id
ORDER BY q.run_id ASC, s.study_id ASC;

-- name: studies
-- The names of the studies.
SELECT t.study FROM sigdb_data.studies AS t;

-- name: study_samples
-- The samples of the study $study.
SELECT s.study_id, s.sample_id
FROM sigdb_data.samples AS s
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id
WHERE t.study = $study;

-- name: study_cells
-- The cells of a study, in order.
SELECT c.cell_id, c.barcode
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
WHERE s.study_id = $study_id
ORDER BY c.cell_id ASC;

-- name: drop_study
-- Remove the study of sigdb_dropped (study) and its samples, after its cells are removed.
DELETE FROM sigdb_data.samples
WHERE study_id IN (
    SELECT q.study_id FROM sigdb_data.studies AS q WHERE q.study IN (SELECT d.study FROM sigdb_dropped AS d)
);
DELETE FROM sigdb_data.studies WHERE study IN (SELECT d.study FROM sigdb_dropped AS d);
