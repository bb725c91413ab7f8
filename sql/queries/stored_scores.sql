-- stored_scores: the attributions of the run $run; sigdb.score adds the genes that it needs to the condition.
SELECT a.gene_id, a.cell_id::BIGINT AS cell_id, a.score
FROM sigdb_data.attributions AS a
WHERE a.run_id = $run;
