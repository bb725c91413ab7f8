-- signature_branch(genes, weights, agg, run, signed, signatures, first, last) -> TABLE (_signature, _cell, _value)
-- Internal: the stored terms of a score for the genes of branches `first` to `last` of signature_terms.
-- Units:   weight x |attribution|; with `signed`, weight x attribution.
-- Example: SELECT _value FROM sigdb_data.signature_branch(['CD3E'], NULL, 'sum', NULL, false, NULL, 0, 0);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, first, last) AS TABLE
SELECT t._signature, a._cell, t._weight * CASE WHEN signed THEN a._score ELSE abs(a._score) END AS _value
FROM (
    SELECT q.run_id AS _run, q.gene_id AS _gene, q.cell_id AS _cell, q.score AS _score FROM sigdb_data.attributions AS q
) AS a
JOIN (
    SELECT s._signature, s._run, s._gene, s._weight
    FROM sigdb_data.signature_terms(genes, weights, agg, run, signatures) AS s
    WHERE s._branch BETWEEN first AND last
) AS t ON a._run = t._run AND a._gene = t._gene;
