-- importance_groups_of(of_run, of_study)
--   -> TABLE (_number, _run, _study, _type, _disease, _tissue, _all_types, _one_condition, _all_conditions)
-- Internal: the groups that the table importance_groups must have, for a run_id and a study_id. NULL stands for any. A
-- condition is a disease and a tissue. The groups of a study are: each cell type, and all cell types; each of these in each
-- condition, and in all conditions. If a study has one condition, its groups are of one condition and of all.
-- Units:   _number: from 1, in the order of the groups.
-- Example: SELECT count(*) FROM sigdb_data.importance_groups_of(NULL, NULL);  --> 4

CREATE OR REPLACE MACRO sigdb_data.importance_groups_of(of_run, of_study) AS TABLE
SELECT
    row_number() OVER (
        ORDER BY
            g._run ASC, g._study ASC, g._all_types ASC, g._is_total ASC, g._type ASC, g._disease ASC, g._tissue ASC
    ) AS _number,
    g._run, g._study, g._type, g._disease, g._tissue, g._all_types, NOT g._is_total AS _one_condition,
    g._is_total OR k._n = 1 AS _all_conditions
FROM (
    SELECT DISTINCT
        q.run_id AS _run, s.study_id AS _study, f._all_types, f._is_total,
        CASE WHEN NOT f._all_types THEN q.cell_type END AS _type,
        CASE WHEN NOT f._is_total THEN s.disease END AS _disease,
        CASE WHEN NOT f._is_total THEN s.tissue END AS _tissue
    FROM sigdb_data.group_sizes AS q
    JOIN sigdb_data.samples AS s ON q.sample_id = s.sample_id
    CROSS JOIN (
        SELECT false AS _all_types, false AS _is_total
        UNION ALL SELECT false, true
        UNION ALL SELECT true, false
        UNION ALL SELECT true, true
    ) AS f
    WHERE (of_run IS NULL OR q.run_id = of_run) AND (of_study IS NULL OR s.study_id = of_study)
) AS g
JOIN (
    SELECT c._study, count(*) AS _n
    FROM (SELECT DISTINCT s.study_id AS _study, s.disease, s.tissue FROM sigdb_data.samples AS s) AS c
    GROUP BY c._study
) AS k ON g._study = k._study
WHERE k._n > 1 OR NOT g._is_total;
