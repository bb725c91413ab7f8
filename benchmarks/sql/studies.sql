-- studies: the studies of $n_samples samples, 25 samples per study.
INSERT INTO sigdb_data.studies (study_id, study, counts_from)
SELECT i.n, 'study ' || i.n, 'X'
FROM range(($n_samples + 24) // 25) AS i (n);
