-- add_group_sizes: how many cells a sample and cell type has among the cells $first to $last of a run.
INSERT INTO sigdb_data.group_sizes (run_id, sample_id, cell_type, n_cells)
SELECT r.run_id, c.sample_id, c.cell_type, count(*)
FROM sigdb_data.attributed_cells AS r
JOIN sigdb_data.cell_data AS c ON r.cell_id = c.cell_id
WHERE r.run_id = $run_id AND r.cell_id BETWEEN $first AND $last
GROUP BY r.run_id, c.sample_id, c.cell_type
ORDER BY c.sample_id, c.cell_type;
