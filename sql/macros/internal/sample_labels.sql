-- sample_labels() -> TABLE (_sample, _study_id, _study, _name, _donor, _tissue, _disease)
-- Internal: the labels of each sample, and the name of its study.
-- Units:   none.
-- Example: SELECT _study FROM sigdb_data.sample_labels();  --> toy

CREATE OR REPLACE MACRO sigdb_data.sample_labels() AS TABLE
SELECT
    s.sample_id AS _sample, s.study_id AS _study_id, t.study AS _study, s.sample AS _name, s.donor AS _donor,
    s.tissue AS _tissue, s.disease AS _disease
FROM sigdb_data.samples AS s
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id;
