-- 003: from schema 3 to 4, in which genes and runs have ids of 32 bits: DuckDB stores those faster than smaller ones, in
-- the same room, and no atlas runs out of them; and attributions say how they are compressed. All tables with such ids
-- are made anew: DuckDB keeps a column that is altered in memory, and does not alter a primary key.

ALTER TABLE sigdb_data.attribution_runs RENAME TO attribution_runs_before;
CREATE TABLE sigdb_data.attribution_runs (
    run_id UINTEGER PRIMARY KEY,
    run VARCHAR NOT NULL UNIQUE,
    model_id UTINYINT NOT NULL,
    method VARCHAR NOT NULL,
    n_steps USMALLINT,
    baseline VARCHAR NOT NULL,
    summation VARCHAR NOT NULL,
    target_sum DOUBLE NOT NULL,
    device VARCHAR NOT NULL,
    versions MAP(VARCHAR, VARCHAR) NOT NULL,
    started TIMESTAMP NOT NULL,
    finished TIMESTAMP,
    is_signed BOOLEAN DEFAULT true
);
INSERT INTO sigdb_data.attribution_runs BY NAME FROM sigdb_data.attribution_runs_before;
DROP TABLE sigdb_data.attribution_runs_before;

ALTER TABLE sigdb_data.attributed_cells RENAME TO attributed_cells_before;
CREATE TABLE sigdb_data.attributed_cells (
    run_id UINTEGER NOT NULL,
    cell_id UINTEGER NOT NULL,
    attribution_scale FLOAT,
    completeness_delta FLOAT
);
INSERT INTO sigdb_data.attributed_cells BY NAME FROM sigdb_data.attributed_cells_before;
DROP TABLE sigdb_data.attributed_cells_before;

ALTER TABLE sigdb_data.genes RENAME TO genes_before;
CREATE TABLE sigdb_data.genes (
    gene_id UINTEGER PRIMARY KEY,
    symbol VARCHAR NOT NULL UNIQUE,
    ensembl_id VARCHAR
);
INSERT INTO sigdb_data.genes BY NAME FROM sigdb_data.genes_before;
DROP TABLE sigdb_data.genes_before;

ALTER TABLE sigdb_data.gene_names RENAME TO gene_names_before;
CREATE TABLE sigdb_data.gene_names (
    name VARCHAR NOT NULL,
    name_lower VARCHAR NOT NULL,
    gene_id UINTEGER NOT NULL,
    source VARCHAR NOT NULL,
    rank UTINYINT NOT NULL,
    is_ambiguous BOOLEAN NOT NULL
);
INSERT INTO sigdb_data.gene_names BY NAME FROM sigdb_data.gene_names_before;
DROP TABLE sigdb_data.gene_names_before;

ALTER TABLE sigdb_data.model_genes RENAME TO model_genes_before;
CREATE TABLE sigdb_data.model_genes (
    model_id UTINYINT NOT NULL,
    gene_id UINTEGER NOT NULL,
    position UINTEGER NOT NULL
);
INSERT INTO sigdb_data.model_genes BY NAME FROM sigdb_data.model_genes_before;
DROP TABLE sigdb_data.model_genes_before;

ALTER TABLE sigdb_data.study_genes RENAME TO study_genes_before;
CREATE TABLE sigdb_data.study_genes (
    study_id USMALLINT NOT NULL,
    gene_id UINTEGER NOT NULL
);
INSERT INTO sigdb_data.study_genes BY NAME FROM sigdb_data.study_genes_before;
DROP TABLE sigdb_data.study_genes_before;

ALTER TABLE sigdb_data.attributions RENAME TO attributions_before;
CREATE TABLE sigdb_data.attributions (
    run_id UINTEGER USING COMPRESSION RLE,
    gene_id UINTEGER USING COMPRESSION RLE,
    cell_id UINTEGER USING COMPRESSION BITPACKING,
    score FLOAT
);
INSERT INTO sigdb_data.attributions BY NAME FROM sigdb_data.attributions_before;
DROP TABLE sigdb_data.attributions_before;

ALTER TABLE sigdb_data.attribution_summary RENAME TO attribution_summary_before;
CREATE TABLE sigdb_data.attribution_summary (
    run_id UINTEGER NOT NULL,
    sample_id UINTEGER NOT NULL,
    cell_type VARCHAR,
    gene_id UINTEGER NOT NULL,
    n_nonzero UINTEGER NOT NULL,
    sum_abs DOUBLE NOT NULL,
    sum_signed DOUBLE NOT NULL,
    sum_sq DOUBLE NOT NULL
);
INSERT INTO sigdb_data.attribution_summary BY NAME FROM sigdb_data.attribution_summary_before;
DROP TABLE sigdb_data.attribution_summary_before;

ALTER TABLE sigdb_data.group_sizes RENAME TO group_sizes_before;
CREATE TABLE sigdb_data.group_sizes (
    run_id UINTEGER NOT NULL,
    sample_id UINTEGER NOT NULL,
    cell_type VARCHAR,
    n_cells UINTEGER NOT NULL
);
INSERT INTO sigdb_data.group_sizes BY NAME FROM sigdb_data.group_sizes_before;
DROP TABLE sigdb_data.group_sizes_before;

ALTER TABLE sigdb_data.materialized_signatures RENAME TO materialized_signatures_before;
CREATE TABLE sigdb_data.materialized_signatures (
    materialized_id USMALLINT NOT NULL,
    run_id UINTEGER NOT NULL,
    signature VARCHAR NOT NULL,
    gene_ids UINTEGER[] NOT NULL,
    weights DOUBLE[] NOT NULL,
    total_weight DOUBLE NOT NULL
);
INSERT INTO sigdb_data.materialized_signatures BY NAME FROM sigdb_data.materialized_signatures_before;
DROP TABLE sigdb_data.materialized_signatures_before;

ALTER TABLE sigdb_data.ingest_chunks RENAME TO ingest_chunks_before;
CREATE TABLE sigdb_data.ingest_chunks (
    run_id UINTEGER NOT NULL,
    study_id USMALLINT NOT NULL,
    chunk UINTEGER NOT NULL,
    first_row UINTEGER NOT NULL,
    n_cells UINTEGER NOT NULL,
    n_scores UBIGINT NOT NULL,
    device VARCHAR NOT NULL,
    versions MAP(VARCHAR, VARCHAR) NOT NULL,
    written TIMESTAMP NOT NULL
);
INSERT INTO sigdb_data.ingest_chunks BY NAME FROM sigdb_data.ingest_chunks_before;
DROP TABLE sigdb_data.ingest_chunks_before;
