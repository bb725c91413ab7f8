-- incoming_gene_ids: the gene of the atlas that each name of the list has become, in the order of the list.
SELECT coalesce(i.gene_id, g.gene_id)
FROM sigdb_incoming_genes AS i
LEFT JOIN sigdb_data.genes AS g ON i.symbol = g.symbol
ORDER BY i.position;
