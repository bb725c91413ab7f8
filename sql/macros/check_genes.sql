-- check_genes(genes, run := NULL) -> TABLE (gene, symbol, gene_id, status, suggestion)
-- What each name means in this atlas, in the order asked. A name is tried as symbol, approved symbol, previous symbol,
-- alias, Ensembl id (version dropped), then without regard to case.
-- status:  ok (the symbol itself), alias, ensembl, case, ambiguous (several genes bear the name: suggestion names
--          them), missing (not in the gene list of the run's model: suggestion is the nearest symbol, if one is near).
-- Units:   none.
-- Errors:  an unknown run. A NULL name is missing.
-- Example: SELECT status FROM check_genes(['ENSG00000143546.9']);  --> ensembl

CREATE OR REPLACE MACRO check_genes(genes, run := NULL) AS TABLE
SELECT r._asked AS gene, r._symbol AS symbol, r._gene AS gene_id, r._status AS status, r._suggestion AS suggestion
FROM sigdb_data.gene_report(genes, NULL, run, NULL) AS r
WHERE (SELECT k._error FROM sigdb_data.run_check(run, false) AS k) IS NULL
ORDER BY r._position;
