-- add_study: record a study, or what is said of it now if the atlas has one of this name; returns its id.
INSERT INTO sigdb_data.studies (study_id, study, title, organism, source, licence, counts_from)
SELECT coalesce(max(q.study_id) + 1, 0), $study, $title, $organism, $source, $licence, $counts_from
FROM sigdb_data.studies AS q
ON CONFLICT (study) DO UPDATE SET
    title = excluded.title,
    organism = excluded.organism,
    source = excluded.source,
    licence = excluded.licence,
    counts_from = excluded.counts_from
RETURNING study_id;
