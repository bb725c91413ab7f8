-- copy_attributed_cells: the copies are attributed by the runs that attributed the first cells, up to $n_first.
INSERT INTO sigdb_data.attributed_cells BY NAME
SELECT a.* REPLACE (c.cell_id AS cell_id)
FROM sigdb_data.attributed_cells AS a
JOIN sigdb_data.cell_data AS c ON a.cell_id = c.cell_id % $n_first
WHERE c.cell_id >= $n_first;
