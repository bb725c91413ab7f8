-- null_moments(genes, weights, n_controls, seed, n_bins, run, signed)
--   -> TABLE (_study, _tissue, _disease, _type, _control, _value)
-- Internal: the sum of each control set over the cells of each group. _control is NULL for the signature itself. A set that
-- is 0 in a group has no row.
-- Units:   weighted attribution, summed over cells and genes.
-- Example: SELECT _value FROM sigdb_data.null_moments(['CD3E'], NULL, 5, 0, 25, NULL, false) WHERE _type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.null_moments(genes, weights, n_controls, seed, n_bins, run, signed) AS TABLE
SELECT v._study, v._tissue, v._disease, v._type, c._control, sum(c._weight * v._sum) AS _value
FROM (
    SELECT d._study, d._control, d._match AS _gene, d._weight
    FROM sigdb_data.control_genes(genes, weights, n_controls, seed, n_bins, run) AS d
    UNION ALL
    SELECT b._study, NULL AS _control, t._gene, t._weight
    FROM sigdb_data.signature_terms(genes, weights, 'sum', run, NULL) AS t
    JOIN (SELECT q.study_id AS _study, q.gene_id AS _gene FROM sigdb_data.study_genes AS q) AS b ON t._gene = b._gene
) AS c
JOIN sigdb_data.group_sums(run, signed) AS v ON c._study = v._study AND c._gene = v._gene
GROUP BY v._study, v._tissue, v._disease, v._type, c._control;
