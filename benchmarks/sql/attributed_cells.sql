-- attributed_cells: every cell has been attributed.
INSERT INTO sigdb_data.attributed_cells (run_id, cell_id, attribution_scale, completeness_delta)
SELECT $run_id, c.cell_id, 1, 0
FROM sigdb_data.cell_data AS c;
