-- importance_groups: the groups of gene_importance are those of the studies' cell types and conditions, each once.
SELECT count(*), min(
    'run ' || coalesce(f._run, q.run_id) || ', study ' || coalesce(f._study, q.study_id) || ', cell type '
    || coalesce(f._type, q.cell_type, '(any)') || ', disease ' || coalesce(f._disease, q.disease, '(any)') || ': '
    || coalesce(q.n, 0) || ' groups, not ' || (f._number IS NOT NULL)::INTEGER
)
FROM sigdb_data.importance_groups_of(NULL, NULL) AS f
FULL JOIN (
    SELECT
        g.run_id, g.study_id, g.cell_type, g.disease, g.tissue, g.all_types, g.one_condition, g.all_conditions,
        count(*) AS n, max(i.n) AS n_of_id
    FROM sigdb_data.importance_groups AS g
    JOIN (
        SELECT h.group_id, count(*) AS n FROM sigdb_data.importance_groups AS h GROUP BY h.group_id
    ) AS i ON g.group_id = i.group_id
    GROUP BY ALL
) AS q
    ON f._run = q.run_id AND f._study = q.study_id
    AND f._all_types = q.all_types AND f._one_condition = q.one_condition AND f._all_conditions = q.all_conditions
    AND f._type IS NOT DISTINCT FROM q.cell_type AND f._disease IS NOT DISTINCT FROM q.disease
    AND f._tissue IS NOT DISTINCT FROM q.tissue
WHERE f._number IS NULL OR q.n IS DISTINCT FROM 1 OR q.n_of_id > 1;
