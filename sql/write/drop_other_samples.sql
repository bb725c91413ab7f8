-- drop_other_samples: samples of a study that the obs of its cells (sigdb_obs) has no longer.
DELETE FROM sigdb_data.samples
WHERE study_id = $study_id AND sample NOT IN (SELECT o.sample FROM sigdb_obs AS o);
