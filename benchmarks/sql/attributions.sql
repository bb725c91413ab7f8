-- add_attributions: scores of a chunk of cells (sigdb_incoming: gene_id, cell_id, score).
INSERT INTO sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT $run_id, i.gene_id, i.cell_id, i.score FROM sigdb_incoming AS i ORDER BY i.gene_id, i.cell_id;
