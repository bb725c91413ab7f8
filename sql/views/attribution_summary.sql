-- attribution_summary -> VIEW
-- The cube: for each gene, sums over the cells of a run, sample and cell type. Divide by group_sizes to get means.
-- Example: SELECT sum_abs FROM attribution_summary WHERE cell_type = 'T cell';  --> 9.0

CREATE OR REPLACE VIEW attribution_summary AS
FROM sigdb_data.attribution_summary;
