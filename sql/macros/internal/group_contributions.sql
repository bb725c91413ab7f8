-- group_contributions(genes, weights, agg, run, signed)
--   -> TABLE (_study, _tissue, _disease, _type, _n_cells, _gene, _symbol, _contribution, _score)
-- Internal: what each gene adds to the mean score of a group of cells. _score repeats that score, the sum of all
-- contributions, in each row.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. A gene that is 0 in all cells of a group has no
--          row.
-- Example: SELECT _contribution FROM sigdb_data.group_contributions(['S100A8', 'S100A9'], NULL, 'mean', NULL, false) WHERE _symbol = 'S100A8';  --> 3.0

CREATE OR REPLACE MACRO sigdb_data.group_contributions(genes, weights, agg, run, signed) AS TABLE
SELECT
    v._study, v._tissue, v._disease, v._cell_type AS _type, n._n_cells, v._gene, g._symbol,
    v._sum / n._n_cells AS _contribution, v._total / n._n_cells AS _score
FROM (
    SELECT
        s._study, s._tissue, s._disease, u._cell_type, u._gene, sum(u._value) AS _sum,
        sum(sum(u._value)) OVER (PARTITION BY s._study, s._tissue, s._disease, u._cell_type) AS _total
    FROM sigdb_data.summary_values(genes, weights, agg, run, signed) AS u
    JOIN sigdb_data.sample_labels() AS s ON u._sample = s._sample
    GROUP BY s._study, s._tissue, s._disease, u._cell_type, u._gene
) AS v
JOIN (
    SELECT s._study, s._tissue, s._disease, c._type AS _cell_type, sum(c._n) AS _n_cells
    FROM sigdb_data.chosen_groups(NULL, NULL, NULL, NULL, run) AS c
    JOIN sigdb_data.sample_labels() AS s ON c._sample = s._sample
    GROUP BY s._study, s._tissue, s._disease, c._type
) AS n
    ON v._study = n._study
    AND v._tissue IS NOT DISTINCT FROM n._tissue
    AND v._disease IS NOT DISTINCT FROM n._disease
    AND v._cell_type IS NOT DISTINCT FROM n._cell_type
JOIN (SELECT q.gene_id AS _gene, q.symbol AS _symbol FROM sigdb_data.genes AS q) AS g ON v._gene = g._gene;
