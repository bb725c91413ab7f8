-- add_attributed_cells: cells of a run, with the scale and the completeness of their attributions (sigdb_incoming).
INSERT INTO sigdb_data.attributed_cells (run_id, cell_id, attribution_scale, completeness_delta)
SELECT $run_id, i.cell_id, i.attribution_scale, i.completeness_delta FROM sigdb_incoming AS i ORDER BY i.cell_id;
