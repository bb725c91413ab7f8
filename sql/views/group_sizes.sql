-- group_sizes -> VIEW
-- How many cells of a sample and cell type a run has attributed: the denominator of a group mean.
-- Example: SELECT n_cells FROM group_sizes WHERE cell_type = 'T cell';  --> 1

CREATE OR REPLACE VIEW group_sizes AS
FROM sigdb_data.group_sizes;
