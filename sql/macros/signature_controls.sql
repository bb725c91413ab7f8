-- signature_controls(genes, n_controls := 1000, seed := 0, n_bins := 25, missing := 'error', run := NULL)
--   -> TABLE (study, control, gene, match)
-- The control sets of signature_null. In set number `control` (from 0), the gene `match` stands for `gene` of the signature.
-- It is drawn at random from the genes with about the same mean attribution in that study that are not 0 in about as many
-- cells. The genes of the signature are among them: a set may hold some of them, or be the signature. No set holds a gene
-- twice.
-- The sets do not depend on the order of `genes`. The same seed gives the same sets on any machine and DuckDB version.
-- n_bins:  bins of mean attribution, each divided in two by detection. Fewer if the study measured fewer than 2500 genes.
-- Units:   none. A study that measured none of the genes has no rows.
-- Errors:  as for signature_score; n_controls not from 2 to 1000000; n_bins below 1; seed NULL.
-- Example: SELECT count(*) FROM signature_controls(['CD3E'], n_controls := 5);  --> 5

CREATE OR REPLACE MACRO signature_controls(
    genes, n_controls := 1000, seed := 0, n_bins := 25, missing := 'error', run := NULL
) AS TABLE
SELECT t._study AS study, c._control AS control, g._symbol AS gene, m._symbol AS match
FROM sigdb_data.control_genes(genes, NULL, n_controls, seed, n_bins, run) AS c
JOIN (SELECT q.study_id AS _id, q.study AS _study FROM sigdb_data.studies AS q) AS t ON c._study = t._id
JOIN (SELECT q.gene_id AS _gene, q.symbol AS _symbol FROM sigdb_data.genes AS q) AS g ON c._gene = g._gene
JOIN (SELECT q.gene_id AS _gene, q.symbol AS _symbol FROM sigdb_data.genes AS q) AS m ON c._match = m._gene
WHERE (SELECT k._error FROM sigdb_data.signature_check(genes, NULL, 'mean', missing, run, false, NULL) AS k) IS NULL
    AND (SELECT e._error FROM sigdb_data.null_check(n_controls, seed, n_bins) AS e) IS NULL;
