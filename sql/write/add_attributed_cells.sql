-- add_attributed_cells: the cells of a study in a run, with the scale and the completeness of their attributions
-- (sigdb_incoming, by rank: the place of a cell among those of its study, of which the first is cell $first_cell).
INSERT INTO sigdb_data.attributed_cells (run_id, cell_id, attribution_scale, completeness_delta)
SELECT $run_id, $first_cell + i.rank, i.attribution_scale, i.completeness_delta
FROM sigdb_incoming AS i
ORDER BY i.rank;
