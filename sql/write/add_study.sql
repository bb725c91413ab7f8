-- add_study: record a study; returns its id.
INSERT INTO sigdb_data.studies (study_id, study, title, organism, source, licence, counts_from)
SELECT coalesce(max(q.study_id) + 1, 0), $study, $title, $organism, $source, $licence, $counts_from
FROM sigdb_data.studies AS q
RETURNING study_id;
