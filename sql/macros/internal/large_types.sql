-- large_types(run) -> TABLE (_study, _type, _n_cells, _n_types, _n_genes)
-- Internal: the cell types of each study that have at least 5 cells, or all if no type has as many: their cells that the run
-- has attributed, how many such types the study has, and how many genes it measured that the run's model knows. Cells without
-- a type are a type.
-- Units:   none.
-- Example: SELECT DISTINCT _n_types FROM sigdb_data.large_types(NULL);  --> 3

CREATE OR REPLACE MACRO sigdb_data.large_types(run) AS TABLE
SELECT t._study, t._type, t._n_cells, count(*) OVER (PARTITION BY t._study) AS _n_types, g._n_genes
FROM (
    SELECT c._study, c._type, c._n_cells, max(c._n_cells) OVER (PARTITION BY c._study) AS _most
    FROM (
        SELECT s._study_id AS _study, q.cell_type AS _type, sum(q.n_cells) AS _n_cells
        FROM sigdb_data.group_sizes AS q
        JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
        JOIN sigdb_data.sample_labels() AS s ON q.sample_id = s._sample
        GROUP BY s._study_id, q.cell_type
    ) AS c
) AS t
JOIN (
    SELECT q.study_id AS _study, count(*) AS _n_genes
    FROM sigdb_data.study_genes AS q JOIN sigdb_data.run_genes(run) AS m ON q.gene_id = m._gene
    GROUP BY q.study_id
) AS g ON t._study = g._study
WHERE t._n_cells >= 5 OR t._most < 5;
