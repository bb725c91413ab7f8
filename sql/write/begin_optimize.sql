-- begin_optimize: notes in the new file: the state of the atlas that is copied (one row), and the ranges of genes that are done.
CREATE TABLE sigdb_new.sigdb_optimize (state VARCHAR, run_id UINTEGER, last_gene UINTEGER);
