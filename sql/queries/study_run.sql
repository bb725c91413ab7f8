-- study_run: a row if the run $run_id holds the study $study.
SELECT 1
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
WHERE s.study = $study AND k.run_id = $run_id
LIMIT 1;
