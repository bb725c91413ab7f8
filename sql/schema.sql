-- schema
-- The base tables of an atlas. One file holds one atlas. People read the views of sql/views; macros read these tables.
-- Every table is in the schema sigdb_data, because a macro resolves names in the search path of the caller: a CTE or a
-- temporary table of the caller that is called `cells` must not replace ours.
-- Units:   the absolute attributions of a cell add up to 1000; a (gene, cell) pair without a row is 0.
-- Example: SELECT value FROM sigdb_data.atlas_info WHERE key = 'schema_version';

CREATE SCHEMA sigdb_data;

CREATE TABLE sigdb_data.atlas_info (
    key VARCHAR PRIMARY KEY,
    value VARCHAR NOT NULL
);

CREATE TABLE sigdb_data.models (
    model_id UTINYINT PRIMARY KEY,
    model VARCHAR NOT NULL UNIQUE,
    architecture VARCHAR NOT NULL,
    checkpoint_sha256 VARCHAR NOT NULL UNIQUE,
    n_genes UINTEGER NOT NULL,
    latent_dim UINTEGER NOT NULL,
    description VARCHAR
);

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

CREATE TABLE sigdb_data.studies (
    study_id USMALLINT PRIMARY KEY,
    study VARCHAR NOT NULL UNIQUE,
    title VARCHAR,
    organism VARCHAR,
    source VARCHAR,
    licence VARCHAR,
    counts_from VARCHAR NOT NULL
);

CREATE TABLE sigdb_data.samples (
    sample_id UINTEGER PRIMARY KEY,
    study_id USMALLINT NOT NULL,
    sample VARCHAR NOT NULL,
    donor VARCHAR,
    tissue VARCHAR,
    disease VARCHAR,
    assay VARCHAR,
    sex VARCHAR,
    development_stage VARCHAR,
    in_vivo BOOLEAN,
    UNIQUE (study_id, sample)
);

-- Columns of the studies' obs that sigdb does not know are added to this table.
CREATE TABLE sigdb_data.cell_data (
    cell_id UINTEGER NOT NULL,
    sample_id UINTEGER NOT NULL,
    barcode VARCHAR NOT NULL,
    cell_type VARCHAR,
    n_counts DOUBLE,
    n_genes UINTEGER
);

CREATE TABLE sigdb_data.attributed_cells (
    run_id UINTEGER NOT NULL,
    cell_id UINTEGER NOT NULL,
    attribution_scale FLOAT,
    completeness_delta FLOAT,
    integration_error FLOAT,
    n_expressed UINTEGER,
    n_read UINTEGER
);

CREATE TABLE sigdb_data.genes (
    gene_id UINTEGER PRIMARY KEY,
    symbol VARCHAR NOT NULL UNIQUE,
    ensembl_id VARCHAR
);

-- All names of the genes. rank: names of lower rank are tried first; 0 is the symbol.
CREATE TABLE sigdb_data.gene_names (
    name VARCHAR NOT NULL,
    name_lower VARCHAR NOT NULL,
    gene_id UINTEGER NOT NULL,
    source VARCHAR NOT NULL,
    rank UTINYINT NOT NULL,
    is_ambiguous BOOLEAN NOT NULL
);

CREATE TABLE sigdb_data.model_genes (
    model_id UTINYINT NOT NULL,
    gene_id UINTEGER NOT NULL,
    position UINTEGER NOT NULL
);

CREATE TABLE sigdb_data.study_genes (
    study_id USMALLINT NOT NULL,
    gene_id UINTEGER NOT NULL
);

-- Most models read all genes, and have no rows here.
CREATE TABLE sigdb_data.unread_genes (
    run_id UINTEGER NOT NULL,
    study_id USMALLINT NOT NULL,
    gene_id UINTEGER NOT NULL,
    n_cells UINTEGER NOT NULL
);

-- The rows are sorted, so the best compression is known. Trying others takes a sixth of the time to store the rows.
CREATE TABLE sigdb_data.attributions (
    run_id UINTEGER USING COMPRESSION RLE,
    gene_id UINTEGER USING COMPRESSION RLE,
    cell_id UINTEGER USING COMPRESSION BITPACKING,
    score FLOAT
);

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

CREATE TABLE sigdb_data.group_sizes (
    run_id UINTEGER NOT NULL,
    sample_id UINTEGER NOT NULL,
    cell_type VARCHAR,
    n_cells UINTEGER NOT NULL
);

-- The cube added up over samples. The rows of a group lie together, so gene_importance reads little.
CREATE TABLE sigdb_data.importance_groups (
    group_id UINTEGER NOT NULL,
    run_id UINTEGER NOT NULL,
    study_id USMALLINT NOT NULL,
    cell_type VARCHAR,
    disease VARCHAR,
    tissue VARCHAR,
    all_types BOOLEAN NOT NULL,
    one_condition BOOLEAN NOT NULL,
    all_conditions BOOLEAN NOT NULL
);

CREATE TABLE sigdb_data.importance_sums (
    group_id UINTEGER NOT NULL,
    gene_id UINTEGER NOT NULL,
    n_nonzero UINTEGER NOT NULL,
    sum_abs DOUBLE NOT NULL,
    sum_signed DOUBLE NOT NULL
);

CREATE TABLE sigdb_data.signature_info (
    signature VARCHAR PRIMARY KEY,
    source VARCHAR,
    description VARCHAR
);

CREATE TABLE sigdb_data.signatures (
    signature VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    gene VARCHAR NOT NULL,
    weight DOUBLE NOT NULL
);

-- The signatures whose scores are kept in signature_cells, so that queries read the scores instead of computing them.
CREATE TABLE sigdb_data.materialized_signatures (
    materialized_id USMALLINT NOT NULL,
    run_id UINTEGER NOT NULL,
    signature VARCHAR NOT NULL,
    gene_ids UINTEGER[] NOT NULL,
    weights DOUBLE[] NOT NULL,
    total_weight DOUBLE NOT NULL
);

CREATE TABLE sigdb_data.signature_cells (
    materialized_id USMALLINT NOT NULL,
    cell_id UINTEGER NOT NULL,
    score FLOAT NOT NULL
);

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
