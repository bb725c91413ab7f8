-- unknown_genes: the genes of the model $model_id that are known by no name but the one they came with.
SELECT g.symbol
FROM sigdb_data.model_genes AS m JOIN sigdb_data.genes AS g ON m.gene_id = g.gene_id
WHERE m.model_id = $model_id
    AND NOT EXISTS (SELECT 1 FROM sigdb_data.gene_names AS n WHERE n.gene_id = g.gene_id AND n.source <> 'symbol')
ORDER BY m.position;
