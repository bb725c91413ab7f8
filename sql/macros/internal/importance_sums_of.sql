-- importance_sums_of(of_run, of_study) -> TABLE (_group, _gene, _n_nonzero, _sum_abs, _sum_signed)
-- Internal: the rows that the table importance_sums must have, added up from the cube, for a run_id and a study_id. NULL
-- stands for any.
-- Units:   _n_nonzero: cells. _sum_abs, _sum_signed: attribution, added up over the cells of a group.
-- Example: SELECT max(_sum_abs) FROM sigdb_data.importance_sums_of(NULL, NULL);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.importance_sums_of(of_run, of_study) AS TABLE
SELECT
    m._group, q.gene_id AS _gene, sum(q.n_nonzero)::UINTEGER AS _n_nonzero, sum(q.sum_abs) AS _sum_abs,
    sum(q.sum_signed) AS _sum_signed
FROM sigdb_data.attribution_summary AS q
JOIN sigdb_data.importance_members(of_run, of_study) AS m
    ON q.run_id = m._run AND q.sample_id = m._sample AND q.cell_type IS NOT DISTINCT FROM m._type
GROUP BY m._group, q.gene_id;
