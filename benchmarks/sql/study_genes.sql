-- study_genes: every study measured every gene.
INSERT INTO sigdb_data.study_genes (study_id, gene_id)
SELECT s.study_id, g.gene_id
FROM sigdb_data.studies AS s CROSS JOIN sigdb_data.genes AS g;
