-- 006: schema 7 records which expressed genes a model did not read. It is not known for cells that were attributed before.
ALTER TABLE sigdb_data.attributed_cells ADD COLUMN n_expressed UINTEGER;
ALTER TABLE sigdb_data.attributed_cells ADD COLUMN n_read UINTEGER;

CREATE TABLE sigdb_data.unread_genes (
    run_id UINTEGER NOT NULL,
    study_id USMALLINT NOT NULL,
    gene_id UINTEGER NOT NULL,
    n_cells UINTEGER NOT NULL
);
