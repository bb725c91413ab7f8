-- signatures: the library, a row a signature, with how many of its genes this atlas can score.
SELECT i.signature, count(*) AS genes, count(m.gene_id) AS in_atlas, i.source, i.description
FROM sigdb_data.signature_info AS i
JOIN sigdb_data.resolve_genes(NULL, NULL, (SELECT list(q.signature) FROM sigdb_data.signature_info AS q)) AS r
    ON i.signature = r._signature
LEFT JOIN (
    SELECT q.gene_id FROM sigdb_data.model_genes AS q JOIN sigdb_data.run_of(NULL) AS o ON q.model_id = o._model
) AS m ON r._gene = m.gene_id
GROUP BY i.signature, i.source, i.description
ORDER BY i.signature;
