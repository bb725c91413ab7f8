-- signature: the genes of the signature $name, in order, and what each means in this atlas.
SELECT s.gene, s.weight, c.symbol, c.status, c.suggestion
FROM sigdb_data.signatures AS s
JOIN check_genes((SELECT list(q.gene) FROM sigdb_data.signatures AS q WHERE q.signature = $name)) AS c ON s.gene = c.gene
WHERE s.signature = $name
ORDER BY s.position;
