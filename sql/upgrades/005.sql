-- 005: schema 6 keeps the sums of the cube for the groups of gene_importance. sigdb/atlas/upgrade.py fills the tables.
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
