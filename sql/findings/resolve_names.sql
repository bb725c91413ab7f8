-- resolve_names: the gene that each of $names means, in their order. NULL for a name that means no gene.
SELECT r._gene AS gene_id
FROM sigdb_data.resolve_genes($names, NULL, NULL) AS r
ORDER BY r._position ASC;
