-- add_model_genes: the gene list of a model, in its order (sigdb_incoming: gene_id, position).
INSERT INTO sigdb_data.model_genes (model_id, gene_id, position)
SELECT $model_id, i.gene_id, i.position FROM sigdb_incoming AS i;
