-- signatures: the library, a row a signature, with how many of its genes this atlas can score.
SELECT i.signature, count(*) AS genes, count(m._gene) AS in_atlas, i.source, i.description
FROM sigdb_data.signature_info AS i
JOIN sigdb_data.resolve_genes(NULL, NULL, (SELECT list(q.signature) FROM sigdb_data.signature_info AS q)) AS r
    ON i.signature = r._signature
LEFT JOIN sigdb_data.run_genes(NULL) AS m ON r._gene = m._gene
GROUP BY i.signature, i.source, i.description
ORDER BY i.signature;
