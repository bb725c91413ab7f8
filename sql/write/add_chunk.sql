-- add_chunk: a line in the ledger, in the transaction of what it records. versions: of the packages, in order.
INSERT INTO sigdb_data.ingest_chunks (
    run_id, study_id, chunk, first_row, n_cells, n_scores, device, versions, written
)
VALUES (
    $run_id, $study_id, $chunk, $first_row, $n_cells, $n_scores, $device, map($packages, $versions), $written
);
