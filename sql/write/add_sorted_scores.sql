-- add_sorted_scores: scores of some genes of a study (sigdb_scores: gene_id, rank, score), sorted by gene and rank.
-- rank: the place of a cell among those of its study, of which the first is cell $first_cell.
INSERT INTO sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT $run_id, i.gene_id, $first_cell::UINTEGER + i.rank, i.score FROM sigdb_scores AS i;
