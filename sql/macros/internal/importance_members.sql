-- importance_members(of_run, of_study) -> TABLE (_group, _run, _sample, _type)
-- Internal: which samples and cell types of the cube each group of importance_groups adds up, for a run_id and a study_id.
-- NULL stands for any.
-- Units:   none.
-- Example: SELECT count(*) FROM sigdb_data.importance_members(NULL, NULL);  --> 6

CREATE OR REPLACE MACRO sigdb_data.importance_members(of_run, of_study) AS TABLE
SELECT g.group_id AS _group, q.run_id AS _run, q.sample_id AS _sample, q.cell_type AS _type
FROM sigdb_data.importance_groups AS g
JOIN sigdb_data.samples AS s ON g.study_id = s.study_id
JOIN sigdb_data.group_sizes AS q ON g.run_id = q.run_id AND s.sample_id = q.sample_id
WHERE (of_run IS NULL OR g.run_id = of_run)
    AND (of_study IS NULL OR g.study_id = of_study)
    AND (g.all_types OR g.cell_type IS NOT DISTINCT FROM q.cell_type)
    AND (NOT g.one_condition OR (g.disease IS NOT DISTINCT FROM s.disease AND g.tissue IS NOT DISTINCT FROM s.tissue));
