-- ingest_chunks -> VIEW
-- The ledger: one row per chunk of cells that was written, with the device and the versions that computed it.
-- Example: SELECT n_scores FROM ingest_chunks;  --> 3

CREATE OR REPLACE VIEW ingest_chunks AS
FROM sigdb_data.ingest_chunks;
