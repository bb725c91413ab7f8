-- name: signatures
-- The library: one row per signature, with the number of its genes that this atlas can score.
SELECT i.signature, count(*) AS genes, count(m._gene) AS in_atlas, i.source, i.description
FROM sigdb_data.signature_info AS i
JOIN sigdb_data.resolve_genes(NULL, NULL, (SELECT list(q.signature) FROM sigdb_data.signature_info AS q)) AS r
    ON i.signature = r._signature
LEFT JOIN sigdb_data.run_genes(NULL) AS m ON r._gene = m._gene
GROUP BY i.signature, i.source, i.description
ORDER BY i.signature ASC;

-- name: signature
-- The genes of the signature $name in order, and what each means in this atlas.
SELECT s.gene, s.weight, c.symbol, c.status, c.suggestion
FROM sigdb_data.signatures AS s
JOIN check_genes((SELECT list(q.gene) FROM sigdb_data.signatures AS q WHERE q.signature = $name)) AS c ON s.gene = c.gene
WHERE s.signature = $name
ORDER BY s.position ASC;

-- name: meanings
-- What $name means: whether the library has a signature of this name, in any case, and whether it is the name of a gene.
SELECT
    EXISTS (SELECT 1 FROM sigdb_data.signature_info AS i WHERE lower(i.signature) = lower($name)) AS is_signature,
    (SELECT c.status NOT IN ('missing', 'ambiguous') FROM check_genes([$name]) AS c) AS is_gene;

-- name: named_like_genes
-- Which of $names, the names of signatures, are also names of genes of this atlas, in order.
SELECT c.gene FROM check_genes($names) AS c WHERE c.status NOT IN ('missing', 'ambiguous') ORDER BY c.gene ASC;

-- name: cell_types
-- The cell types of the cells that have one, in order.
SELECT DISTINCT g.cell_type FROM sigdb_data.group_sizes AS g WHERE g.cell_type IS NOT NULL ORDER BY g.cell_type ASC;

-- name: count_materialized
-- The number of signatures whose scores are stored, in one run or several.
SELECT count(DISTINCT signature) FROM materialized_signatures;
