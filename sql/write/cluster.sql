-- cluster: sort the attributions by (run, gene, cell), so that a query reads only the row groups that hold its genes.
CREATE TABLE sigdb_data.attributions_clustered AS
FROM sigdb_data.attributions ORDER BY run_id, gene_id, cell_id;
DROP TABLE sigdb_data.attributions;
ALTER TABLE sigdb_data.attributions_clustered RENAME TO attributions;
