-- name: add_study
-- Record a study, or what is said of it now if the atlas has one of this name; returns its id.
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
-- Genes that a study measured (sigdb_incoming: gene_id), beyond those recorded already.
INSERT INTO sigdb_data.study_genes (study_id, gene_id)
SELECT $study_id, i.gene_id
FROM sigdb_incoming AS i
WHERE i.gene_id NOT IN (SELECT q.gene_id FROM sigdb_data.study_genes AS q WHERE q.study_id = $study_id)
ORDER BY i.gene_id;

-- name: add_samples
-- The samples of a study, from the obs of its cells (sigdb_obs), or what is said of them now if the atlas has
-- them. What varies within a sample was refused.
INSERT INTO sigdb_data.samples (
    sample_id, study_id, sample, donor, tissue, disease, assay, sex, development_stage, in_vivo
)
SELECT
    (SELECT coalesce(max(q.sample_id) + 1, 0) FROM sigdb_data.samples AS q) + row_number() OVER (ORDER BY o.sample) - 1,
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
-- Samples of a study that the obs of its cells (sigdb_obs) has no longer.
DELETE FROM sigdb_data.samples
WHERE study_id = $study_id AND sample NOT IN (SELECT o.sample FROM sigdb_obs AS o);

-- name: add_cells
-- Cells with all their own columns (sigdb_obs); the fields of the sample are replaced by its id.
INSERT INTO sigdb_data.cell_data BY NAME
SELECT s.sample_id, o.* EXCLUDE (sample, donor, tissue, disease, assay, sex, development_stage, in_vivo)
FROM sigdb_obs AS o
JOIN sigdb_data.samples AS s ON s.study_id = $study_id AND s.sample = o.sample
ORDER BY o.cell_id;

-- name: cell_columns
-- The columns of cell_data and their types.
SELECT c.column_name, c.data_type
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = 'sigdb_data' AND c.table_name = 'cell_data';

-- name: incoming_columns
-- The columns of sigdb_incoming and the types that DuckDB gives them.
SELECT d.column_name, d.column_type FROM (DESCRIBE SELECT * FROM sigdb_incoming) AS d;

-- name: cell_groups
-- The sample and cell type of the cells $first to $last, and the number of each such group, in order.
SELECT
    c.sample_id, c.cell_type,
    (dense_rank() OVER (ORDER BY c.sample_id, c.cell_type) - 1)::INTEGER AS number
FROM sigdb_data.cell_data AS c
WHERE c.cell_id BETWEEN $first AND $last
ORDER BY c.cell_id;

-- name: add_sorted_scores
-- Scores of some genes of a study (sigdb_scores: gene_id, rank, score), sorted by gene and rank.
-- rank: the place of a cell among those of its study, of which the first is cell $first_cell.
INSERT INTO sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT $run_id, i.gene_id, $first_cell::UINTEGER + i.rank, i.score FROM sigdb_scores AS i;

-- name: add_sums
-- Rows of the cube of a run (sigdb_sums), sorted by gene, sample and cell type; as add_summary makes them.
INSERT INTO sigdb_data.attribution_summary (
    run_id, sample_id, cell_type, gene_id, n_nonzero, sum_abs, sum_signed, sum_sq
)
SELECT $run_id, i.sample_id, i.cell_type, i.gene_id, i.n_nonzero, i.sum_abs, i.sum_signed, i.sum_sq
FROM sigdb_sums AS i;

-- name: add_attributed_cells
-- The cells of a study in a run, with the scale and the completeness of their attributions
-- (sigdb_incoming, by rank: the place of a cell among those of its study, of which the first is cell $first_cell).
INSERT INTO sigdb_data.attributed_cells (run_id, cell_id, attribution_scale, completeness_delta)
SELECT $run_id, $first_cell + i.rank, i.attribution_scale, i.completeness_delta
FROM sigdb_incoming AS i
ORDER BY i.rank;

-- name: add_chunk
-- A line in the ledger, in the transaction of what it records. versions: of the packages, in order.
INSERT INTO sigdb_data.ingest_chunks (
    run_id, study_id, chunk, first_row, n_cells, n_scores, device, versions, written
)
VALUES (
    $run_id, $study_id, $chunk, $first_row, $n_cells, $n_scores, $device, map($packages, $versions), $written
);
