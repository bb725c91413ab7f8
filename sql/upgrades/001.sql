-- 001: from schema 1 to 2, with materialised signatures.
CREATE TABLE sigdb_data.materialized_signatures (
    materialized_id USMALLINT NOT NULL,
    run_id UTINYINT NOT NULL,
    signature VARCHAR NOT NULL,
    gene_ids USMALLINT[] NOT NULL,
    weights DOUBLE[] NOT NULL,
    total_weight DOUBLE NOT NULL
);

CREATE TABLE sigdb_data.signature_cells (
    materialized_id USMALLINT NOT NULL,
    cell_id UINTEGER NOT NULL,
    score FLOAT NOT NULL
);
