-- check_genes(genes, run := NULL) -> TABLE (gene, symbol, gene_id, status, suggestion)
-- What each name means in this atlas, in the order of the list. A name is looked up as a symbol, approved symbol,
-- previous symbol, alias and Ensembl id (without its version), and then as each of these in any case.
-- The exact name of a gene that the atlas lacks is missing, even if another gene has it in another case: RHO is not RHOD,
-- which has the alias Rho.
-- status:  ok (the symbol itself), alias, ensembl, case, ambiguous (a name of several genes, which suggestion lists) or
--          missing (not a gene of the run's model).
-- suggestion: of a missing gene, a run whose model knows it (run := 'name'), or else the nearest symbol, if one is similar.
-- Units:   none.
-- Errors:  an unknown run; a text where a list belongs. A NULL name is reported as missing.
-- Example: SELECT status FROM check_genes(['ENSG00000143546.9']);  --> ensembl

CREATE OR REPLACE MACRO check_genes(genes, run := NULL) AS TABLE
SELECT r._asked AS gene, r._symbol AS symbol, r._gene AS gene_id, r._status AS status, r._suggestion AS suggestion
FROM sigdb_data.gene_report(genes, NULL, run, NULL) AS r
WHERE (SELECT k._error FROM sigdb_data.run_check(run, false) AS k) IS NULL
    AND (SELECT l._error FROM sigdb_data.list_check(genes, NULL) AS l) IS NULL
ORDER BY r._position ASC;
