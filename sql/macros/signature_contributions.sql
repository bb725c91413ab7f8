-- signature_contributions(genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false)
--   -> TABLE (study, tissue, disease, cell_type, gene, n_cells, contribution, share)
-- What makes a score: how much each gene adds to the mean score of a group of cells, from the cube. The contributions of
-- all genes add up to the mean score of the group. share is the part of the mean score.
-- Units:   contribution: attribution. The absolute attributions of a cell add up to 1000. share: part of 1, NULL if the
--          score is 0. A gene that is 0 in all cells of a group has no row.
-- Errors:  as for signature_score.
-- Example: SELECT share FROM signature_contributions(['S100A8', 'S100A9']) WHERE gene = 'S100A8';  --> 0.75

CREATE OR REPLACE MACRO signature_contributions(
    genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false
) AS TABLE
SELECT
    v._study AS study, v._tissue AS tissue, v._disease AS disease, v._type AS cell_type, v._symbol AS gene,
    v._n_cells::BIGINT AS n_cells, v._contribution AS contribution,
    CASE WHEN v._score <> 0 THEN v._contribution / v._score END AS share
FROM sigdb_data.group_contributions(genes, weights, agg, run, signed) AS v
WHERE (SELECT c._error FROM sigdb_data.signature_check(genes, weights, agg, missing, run, signed, NULL) AS c) IS NULL;
