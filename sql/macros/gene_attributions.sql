-- gene_attributions(genes, missing := 'error', run := NULL) -> TABLE (cell_id, gene, score, signed_score)
-- The stored attributions of each gene: one row per cell in which it is not 0. `gene` is the symbol in this atlas,
-- whichever name was given (see check_genes).
-- Units:   attribution. The absolute attributions of a cell add up to 1000. score is the absolute value.
--          signed_score is NULL in a run without signs.
-- Errors:  as for signature_score.
-- Example: SELECT signed_score FROM gene_attributions(['S100A9']);  --> -2.0

CREATE OR REPLACE MACRO gene_attributions(genes, missing := 'error', run := NULL) AS TABLE
SELECT
    a._cell AS cell_id, t._symbol AS gene, abs(a._score) AS score,
    CASE WHEN t._is_signed THEN a._score END AS signed_score
FROM (
    SELECT q.run_id AS _run, q.gene_id AS _gene, q.cell_id AS _cell, q.score AS _score FROM sigdb_data.attributions AS q
) AS a
JOIN (
    SELECT s._run, s._gene, g.symbol AS _symbol, r.is_signed AS _is_signed
    FROM sigdb_data.signature_terms(genes, NULL, 'sum', run, NULL) AS s
    JOIN sigdb_data.genes AS g ON s._gene = g.gene_id
    JOIN sigdb_data.attribution_runs AS r ON s._run = r.run_id
) AS t ON a._run = t._run AND a._gene = t._gene
WHERE (SELECT k._error FROM sigdb_data.signature_check(genes, NULL, 'sum', missing, run, false, NULL) AS k) IS NULL;
