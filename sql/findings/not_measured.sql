-- not_measured: the genes of a signature that the model of the run knows and a study did not measure, by study.
SELECT s.study AS study, g.symbol AS gene
FROM sigdb_data.signature_terms($genes, $weights, 'sum', $run, NULL) AS t
JOIN genes AS g ON t._gene = g.gene_id
CROSS JOIN sigdb_data.studies AS s
ANTI JOIN sigdb_data.study_genes AS m ON g.gene_id = m.gene_id AND s.study_id = m.study_id
ORDER BY s.study ASC, g.symbol ASC;
