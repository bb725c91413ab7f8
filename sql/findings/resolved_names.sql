-- resolved_names: which gene each of $names is, NULL where it is none, in order.
SELECT r._gene AS gene_id
FROM sigdb_data.resolve_genes($names, NULL, NULL) AS r
ORDER BY r._position;
