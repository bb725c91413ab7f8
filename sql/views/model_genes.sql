-- model_genes -> VIEW
-- The input genes of each model. A model attributes nothing to other genes.
-- Example: SELECT count(*) FROM model_genes;  --> 3

CREATE OR REPLACE VIEW model_genes AS
FROM sigdb_data.model_genes;
