-- null_scores(genes, weights, n_controls, seed, n_bins, run, signed)
--   -> TABLE (_study, _tissue, _disease, _type, _control, _value)
-- Internal: the sum of each control set over the cells of each group. A set that is 0 in a group may have no row.
-- Units:   attribution, as in a mean score, summed over the cells of a group.
-- Example: SELECT max(_value) FROM sigdb_data.null_scores(['CD3E'], NULL, 5, 0, 25, NULL, false) WHERE _type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.null_scores(genes, weights, n_controls, seed, n_bins, run, signed) AS TABLE
SELECT v._study, v._tissue, v._disease, v._type, c._control, sum(c._weight * v._sum) AS _value
FROM sigdb_data.control_genes(genes, weights, n_controls, seed, n_bins, run) AS c
JOIN sigdb_data.group_sums(run, signed) AS v ON c._study = v._study AND c._match = v._gene
GROUP BY v._study, v._tissue, v._disease, v._type, c._control;
