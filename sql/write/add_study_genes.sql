-- add_study_genes: genes that a study measured (sigdb_incoming: gene_id), beyond those recorded already.
INSERT INTO sigdb_data.study_genes (study_id, gene_id)
SELECT $study_id, i.gene_id
FROM sigdb_incoming AS i
WHERE i.gene_id NOT IN (SELECT q.gene_id FROM sigdb_data.study_genes AS q WHERE q.study_id = $study_id)
ORDER BY i.gene_id;
