-- study_samples: the samples of the study $study.
SELECT s.study_id, s.sample_id
FROM sigdb_data.samples AS s
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id
WHERE t.study = $study;
