-- ingest_chunks -> VIEW
-- The ledger: one row a chunk of cells written, with what wrote it.
-- Example: SELECT n_scores FROM ingest_chunks;  --> 3

CREATE OR REPLACE VIEW ingest_chunks AS
FROM sigdb_data.ingest_chunks;
