-- name: find_study
-- The id of the study $study, if the atlas has it.
SELECT s.study_id FROM sigdb_data.studies AS s WHERE s.study = $study;

-- name: add_study
-- Record a study, or update the record if the atlas has a study of this name; returns its id.
INSERT INTO sigdb_data.studies (study_id, study, title, organism, source, licence, counts_from)
SELECT coalesce(max(q.study_id) + 1, 0), $study, $title, $organism, $source, $licence, $counts_from
FROM sigdb_data.studies AS q
ON CONFLICT (study) DO UPDATE SET
    title = excluded.title,
    organism = excluded.organism,
    source = excluded.source,
    licence = excluded.licence,
    counts_from = excluded.counts_from
RETURNING study_id;

-- name: add_study_genes
-- Record genes that a study measured (sigdb_incoming: gene_id), unless they are recorded already.
INSERT INTO sigdb_data.study_genes (study_id, gene_id)
SELECT $study_id, i.gene_id
FROM sigdb_incoming AS i
WHERE i.gene_id NOT IN (SELECT q.gene_id FROM sigdb_data.study_genes AS q WHERE q.study_id = $study_id)
ORDER BY i.gene_id ASC;

-- name: add_samples
-- Record the samples of a study from the obs of its cells (sigdb_obs), or update the samples that the atlas has.
-- The caller has checked that no field varies within a sample.
INSERT INTO sigdb_data.samples (
    sample_id, study_id, sample, donor, tissue, disease, assay, sex, development_stage, in_vivo
)
SELECT
    (SELECT coalesce(max(q.sample_id) + 1, 0) FROM sigdb_data.samples AS q) + row_number() OVER (ORDER BY o.sample ASC) - 1,
    $study_id,
    o.sample,
    any_value(o.donor),
    any_value(o.tissue),
    any_value(o.disease),
    any_value(o.assay),
    any_value(o.sex),
    any_value(o.development_stage),
    any_value(o.in_vivo)
FROM sigdb_obs AS o
GROUP BY o.sample
ON CONFLICT (study_id, sample) DO UPDATE SET
    donor = excluded.donor,
    tissue = excluded.tissue,
    disease = excluded.disease,
    assay = excluded.assay,
    sex = excluded.sex,
    development_stage = excluded.development_stage,
    in_vivo = excluded.in_vivo;

-- name: drop_other_samples
-- Remove the samples of a study that do not occur in the obs of its cells (sigdb_obs).
DELETE FROM sigdb_data.samples
WHERE study_id = $study_id AND sample NOT IN (SELECT o.sample FROM sigdb_obs AS o);

-- name: next_cell_id
-- The id of the first cell of the next study.
SELECT coalesce(max(c.cell_id) + 1, 0) FROM sigdb_data.cell_data AS c;

-- name: add_cells
-- Add cells with all their columns (sigdb_obs); sample_id replaces the fields of the sample.
INSERT INTO sigdb_data.cell_data BY NAME
SELECT s.sample_id, o.* EXCLUDE (sample, donor, tissue, disease, assay, sex, development_stage, in_vivo)
FROM sigdb_obs AS o
JOIN sigdb_data.samples AS s ON s.study_id = $study_id AND s.sample = o.sample
ORDER BY o.cell_id ASC;

-- name: cell_columns
-- The columns of cell_data and their types.
SELECT c.column_name, c.data_type
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = 'sigdb_data' AND c.table_name = 'cell_data';

-- name: cell_data_definition
-- The CREATE TABLE of cell_data, unless somebody put an index on it, which a copy would lose.
SELECT t.sql
FROM duckdb_tables() AS t
WHERE t.database_name = current_database() AND t.schema_name = 'sigdb_data' AND t.table_name = 'cell_data'
    AND t.index_count = 0;

-- name: replace_cell_data
-- Put cell_data_new, which has the same columns and more, in the place of cell_data. Comments have to be made again.
INSERT INTO sigdb_data.cell_data_new BY NAME SELECT * FROM sigdb_data.cell_data;
DROP TABLE sigdb_data.cell_data;
ALTER TABLE sigdb_data.cell_data_new RENAME TO cell_data;

-- name: incoming_columns
-- The columns of sigdb_incoming, with the types that DuckDB gives them.
SELECT d.column_name, d.column_type FROM (DESCRIBE SELECT * FROM sigdb_incoming) AS d;

-- name: labels
-- The label of a value of each type, as ingest.columns.label writes it: a whole number has no point. It is for a column of
-- cell_data that becomes text; ingest/store/writer.py sets the column.
SELECT
    CASE WHEN value = trunc(value) AND abs(value) <= 9007199254740992
        THEN CAST(CAST(value AS BIGINT) AS VARCHAR) ELSE CAST(value AS VARCHAR) END AS "DOUBLE",
    CASE WHEN value THEN 'True' WHEN NOT value THEN 'False' END AS "BOOLEAN"
FROM sigdb_data.cell_data;

-- name: cell_counts
-- The total counts of the cells $first to $last, by cell_id.
SELECT c.n_counts FROM sigdb_data.cell_data AS c WHERE c.cell_id BETWEEN $first AND $last ORDER BY c.cell_id ASC;

-- name: cell_groups
-- The sample and cell type of the cells $first to $last, and the number of this group, by cell_id. Groups are numbered
-- from 0 by sample and cell type.
SELECT
    c.cell_id, c.sample_id, c.cell_type,
    (dense_rank() OVER (ORDER BY c.sample_id ASC, c.cell_type ASC) - 1)::INTEGER AS number
FROM sigdb_data.cell_data AS c
WHERE c.cell_id BETWEEN $first AND $last
ORDER BY c.cell_id ASC;

-- name: add_sorted_scores
-- Add scores of a study (sigdb_scores: gene_id, rank, score), sorted by gene and rank.
-- rank: the position of a cell among the cells of its study. $first_cell: the id of the study's first cell.
INSERT INTO sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT $run_id, i.gene_id, $first_cell::UINTEGER + i.rank, i.score FROM sigdb_scores AS i;

-- name: add_sums
-- Add rows to the cube of a run (sigdb_sums), sorted by gene, sample and cell type. atlas/derived.add_summary computes
-- the same rows from the stored scores.
INSERT INTO sigdb_data.attribution_summary (
    run_id, sample_id, cell_type, gene_id, n_nonzero, sum_abs, sum_signed, sum_sq
)
SELECT $run_id, i.sample_id, i.cell_type, i.gene_id, i.n_nonzero, i.sum_abs, i.sum_signed, i.sum_sq
FROM sigdb_sums AS i;

-- name: add_attributed_cells
-- Record the cells of a study in a run, with the scale, completeness and estimated error of their attributions, and the
-- numbers of genes that they express and that the model read (sigdb_incoming).
-- rank: the position of a cell among the cells of its study. $first_cell: the id of the study's first cell.
INSERT INTO sigdb_data.attributed_cells (
    run_id, cell_id, attribution_scale, completeness_delta, integration_error, n_expressed, n_read
)
SELECT
    $run_id, $first_cell + i.rank, i.attribution_scale, i.completeness_delta, i.integration_error, i.n_expressed, i.n_read
FROM sigdb_incoming AS i
ORDER BY i.rank ASC;

-- name: add_unread_genes
-- Record in how many cells of a study the model did not read each gene (sigdb_incoming: gene_id, n_cells; the rows of a
-- gene are added up).
INSERT INTO sigdb_data.unread_genes (run_id, study_id, gene_id, n_cells)
SELECT $run_id, $study_id, i.gene_id, sum(i.n_cells)
FROM sigdb_incoming AS i
GROUP BY i.gene_id
ORDER BY i.gene_id ASC;

-- name: add_chunk
-- Add an entry to the ledger, in the transaction that stores the chunk. packages, versions: names and versions of
-- packages, in the same order.
INSERT INTO sigdb_data.ingest_chunks (
    run_id, study_id, chunk, first_row, n_cells, n_scores, device, versions, written
)
VALUES (
    $run_id, $study_id, $chunk, $first_row, $n_cells, $n_scores, $device, map($packages, $versions), $written
);

-- name: n_scores
-- The number of scores in the atlas.
SELECT count(*) FROM sigdb_data.attributions AS a;

-- name: n_gene_ids
-- One more than the largest gene id in the atlas.
SELECT max(g.gene_id) + 1 FROM sigdb_data.genes AS g;
