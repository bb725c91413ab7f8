-- atlas_state: something that is another after every change to the attributions.
SELECT
    (SELECT count(*) FROM sigdb_data.attributions) AS n_scores,
    (SELECT count(*) FROM sigdb_data.attributed_cells) AS n_cells,
    (SELECT count(*) FROM sigdb_data.ingest_chunks) AS n_chunks,
    (SELECT coalesce(max(k.written)::VARCHAR, '') FROM sigdb_data.ingest_chunks AS k) AS written;
