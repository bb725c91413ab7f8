-- drop_study: forget the study of sigdb_dropped (study), which has no cells any more, and its samples.
DELETE FROM sigdb_data.samples
WHERE study_id IN (
    SELECT q.study_id FROM sigdb_data.studies AS q WHERE q.study IN (SELECT d.study FROM sigdb_dropped AS d)
);
DELETE FROM sigdb_data.studies WHERE study IN (SELECT d.study FROM sigdb_dropped AS d);
