-- run_genes(run) -> TABLE (_run, _gene)
-- Internal: the genes that the model of a run can attribute.
-- Units:   none. No rows if the run does not exist.
-- Example: SELECT count(*) FROM sigdb_data.run_genes(NULL);  --> 3

CREATE OR REPLACE MACRO sigdb_data.run_genes(run) AS TABLE
SELECT o._run, q.gene_id AS _gene
FROM sigdb_data.model_genes AS q JOIN sigdb_data.run_of(run) AS o ON q.model_id = o._model;
