-- other_runs: the runs that hold the study $study, but for the run $run_id.
SELECT DISTINCT r.run
FROM sigdb_data.ingest_chunks AS k
JOIN sigdb_data.studies AS s ON k.study_id = s.study_id
JOIN sigdb_data.attribution_runs AS r ON k.run_id = r.run_id
WHERE s.study = $study AND k.run_id <> $run_id
ORDER BY r.run;
