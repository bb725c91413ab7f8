-- study_chunks: what the ledger says of the chunks of the run $run_id of the study $study.
SELECT k.chunk, k.n_scores, k.written
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
WHERE s.study = $study AND k.run_id = $run_id;
