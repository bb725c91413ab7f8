-- copy_attributions: the attributions of a range of genes, in order, into the new file.
INSERT INTO sigdb_new.sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT a.run_id, a.gene_id, a.cell_id, a.score
FROM sigdb_data.attributions AS a
WHERE a.run_id = $run_id AND a.gene_id BETWEEN $first AND $last
ORDER BY a.gene_id, a.cell_id;
