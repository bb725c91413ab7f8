-- add_staged_scores: scores of the genes $first to $last of a study, from the Parquet files $files (gene_id, rank, score).
-- rank: the place of a cell among those of its study, of which the first is cell $first_cell.
INSERT INTO sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT $run_id, s.gene_id, $first_cell + s.rank, s.score
FROM read_parquet($files) AS s
WHERE s.gene_id BETWEEN $first AND $last
ORDER BY s.gene_id, s.rank;
