-- attributions: those of a run and a range of genes, in the order in which a lake has them.
SELECT a.gene_id, a.cell_id, a.score
FROM sigdb_data.attributions AS a
WHERE a.run_id = $run_id AND a.gene_id BETWEEN $first AND $last
ORDER BY a.gene_id, a.cell_id;
