-- model_genes -> VIEW
-- Which genes a model can attribute at all.
-- Example: SELECT count(*) FROM model_genes;  --> 3

CREATE OR REPLACE VIEW model_genes AS
FROM sigdb_data.model_genes;
