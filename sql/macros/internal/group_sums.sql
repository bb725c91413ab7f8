-- group_sums(run, signed) -> TABLE (_study, _tissue, _disease, _type, _gene, _sum)
-- Internal: the cube by study, tissue, disease, cell type and gene.
-- Units:   |attribution| summed over the cells of a group; with `signed`, attribution.
-- Example: SELECT _sum FROM sigdb_data.group_sums(NULL, false) WHERE _type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.group_sums(run, signed) AS TABLE
SELECT
    s._study_id AS _study, s._tissue, s._disease, q.cell_type AS _type, q.gene_id AS _gene,
    sum(CASE WHEN signed THEN q.sum_signed ELSE q.sum_abs END) AS _sum
FROM sigdb_data.attribution_summary AS q
JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
JOIN sigdb_data.sample_labels() AS s ON q.sample_id = s._sample
GROUP BY s._study_id, s._tissue, s._disease, q.cell_type, q.gene_id;
