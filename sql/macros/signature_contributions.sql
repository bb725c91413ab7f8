-- signature_contributions(genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false)
--   -> TABLE (study, tissue, disease, cell_type, gene, n_cells, contribution, share)
-- What makes a score: how much each gene adds to the mean score of a group of cells, from the cube. The contributions of
-- a group's genes add up to its mean score; share is the part of it.
-- Units:   contribution: attribution, 1000 a cell in all; share: of 1, NULL where the score is 0. A gene that is 0 in all
--          cells of a group has no row.
-- Errors:  those of signature_score.
-- Example: SELECT share FROM signature_contributions(['S100A8', 'S100A9']) WHERE gene = 'S100A8';  --> 0.75

CREATE OR REPLACE MACRO signature_contributions(
    genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false
) AS TABLE
SELECT
    v._study AS study, v._tissue AS tissue, v._disease AS disease, v._cell_type AS cell_type, g._symbol AS gene,
    n._n_cells AS n_cells, v._sum / n._n_cells AS contribution,
    CASE WHEN v._total <> 0 THEN v._sum / v._total END AS share
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
JOIN (SELECT q.gene_id AS _gene, q.symbol AS _symbol FROM sigdb_data.genes AS q) AS g ON v._gene = g._gene
WHERE (SELECT c._error FROM sigdb_data.signature_check(genes, weights, agg, missing, run, NULL) AS c) IS NULL;
