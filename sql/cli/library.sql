-- name: signatures
-- The library, a row a signature, with how many of its genes this atlas can score.
SELECT i.signature, count(*) AS genes, count(m._gene) AS in_atlas, i.source, i.description
FROM sigdb_data.signature_info AS i
JOIN sigdb_data.resolve_genes(NULL, NULL, (SELECT list(q.signature) FROM sigdb_data.signature_info AS q)) AS r
    ON i.signature = r._signature
LEFT JOIN sigdb_data.run_genes(NULL) AS m ON r._gene = m._gene
GROUP BY i.signature, i.source, i.description
ORDER BY i.signature;

-- name: signature
-- The genes of the signature $name, in order, and what each means in this atlas.
SELECT s.gene, s.weight, c.symbol, c.status, c.suggestion
FROM sigdb_data.signatures AS s
JOIN check_genes((SELECT list(q.gene) FROM sigdb_data.signatures AS q WHERE q.signature = $name)) AS c ON s.gene = c.gene
WHERE s.signature = $name
ORDER BY s.position;
