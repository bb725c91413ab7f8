-- summary_branch(genes, weights, agg, run, signed, first, last) -> TABLE (_sample, _cell_type, _gene, _value)
-- Internal: the rows of the cube for the genes of branches `first` to `last` of signature_terms.
-- Units:   weight x sum of |attribution| over the cells of a group; with `signed`, weight x sum of attribution.
-- Example: SELECT _value FROM sigdb_data.summary_branch(['CD3E'], NULL, 'sum', NULL, false, 0, 0);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.summary_branch(genes, weights, agg, run, signed, first, last) AS TABLE
SELECT a._sample, a._cell_type, a._gene, t._weight * CASE WHEN signed THEN a._sum_signed ELSE a._sum_abs END AS _value
FROM (
    SELECT
        q.run_id AS _run, q.gene_id AS _gene, q.sample_id AS _sample, q.cell_type AS _cell_type,
        q.sum_abs AS _sum_abs, q.sum_signed AS _sum_signed
    FROM sigdb_data.attribution_summary AS q
) AS a
JOIN (
    SELECT s._run, s._gene, s._weight
    FROM sigdb_data.signature_terms(genes, weights, agg, run, NULL) AS s
    WHERE s._branch BETWEEN first AND last
) AS t ON a._run = t._run AND a._gene = t._gene;
