-- run_signs: the run $run_id, whether its scores have signs, and of how many studies other than $study it has any.
SELECT
    r.run, r.is_signed,
    (
        SELECT count(DISTINCT k.study_id)
        FROM sigdb_data.ingest_chunks AS k
        WHERE k.run_id = r.run_id AND k.study_id <> (SELECT t.study_id FROM sigdb_data.studies AS t WHERE t.study = $study)
    )
FROM sigdb_data.attribution_runs AS r
WHERE r.run_id = $run_id;
