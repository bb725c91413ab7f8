-- leading_genes(genes, weights := NULL, missing := 'error', run := NULL, signed := false)
--   -> TABLE (study, tissue, disease, cell_type, n_cells, gene, contribution, share, rank, cumulative_share, score, score_without)
-- What drives a score: the genes of a signature in each group of cells, the largest contribution first, with the score
-- that the group would have without the gene. From signature_contributions.
-- rank:    by absolute contribution; ties in the order of the symbol.
-- cumulative_share: the share of this gene and of all genes before it.
-- score:   the mean score of the group.  score_without: the score of the other genes; NULL if there are no others.
-- Units:   contribution and scores: attribution. The absolute attributions of a cell add up to 1000. Shares: parts of 1,
--          NULL if the score is 0. A gene that is 0 in all cells of a group has no row.
-- Errors:  as for signature_score.
-- Example: SELECT score_without FROM leading_genes(['S100A8', 'S100A9']) WHERE gene = 'S100A8';  --> 2.0

CREATE OR REPLACE MACRO leading_genes(
    genes, weights := NULL, missing := 'error', run := NULL, signed := false
) AS TABLE
SELECT
    c._study AS study, c._tissue AS tissue, c._disease AS disease, c._type AS cell_type, c._n_cells::BIGINT AS n_cells,
    c._symbol AS gene, c._contribution AS contribution, c._contribution / nullif(c._score, 0) AS share, c._rank AS rank,
    sum(c._contribution) OVER (PARTITION BY c._study, c._tissue, c._disease, c._type ORDER BY c._rank ASC)
        / nullif(c._score, 0) AS cumulative_share,
    c._score AS score, (c._score - c._contribution) / nullif(1 - abs(c._weight), 0) AS score_without
FROM (
    SELECT
        v._study, v._tissue, v._disease, v._type, v._n_cells, v._symbol, v._contribution, v._score, t._weight,
        row_number() OVER (
            PARTITION BY v._study, v._tissue, v._disease, v._type ORDER BY abs(v._contribution) DESC, v._symbol ASC
        ) AS _rank
    FROM sigdb_data.group_contributions(genes, weights, 'mean', run, signed) AS v
    JOIN sigdb_data.signature_terms(genes, weights, 'mean', run, NULL) AS t ON v._gene = t._gene
) AS c
WHERE (SELECT k._error FROM sigdb_data.signature_check(genes, weights, 'mean', missing, run, signed, NULL) AS k) IS NULL;
