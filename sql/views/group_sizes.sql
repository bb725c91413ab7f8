-- group_sizes -> VIEW
-- The number of cells with attributions per run, sample and cell type: the denominator of a group mean.
-- Example: SELECT n_cells FROM group_sizes WHERE cell_type = 'T cell';  --> 1

CREATE OR REPLACE VIEW group_sizes AS
FROM sigdb_data.group_sizes;
