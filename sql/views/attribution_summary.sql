-- attribution_summary -> VIEW
-- The cube: sums over the cells of a run, sample and cell type, for each gene. Divide by group_sizes for means.
-- Example: SELECT sum_abs FROM attribution_summary WHERE cell_type = 'T cell';  --> 9.0

CREATE OR REPLACE VIEW attribution_summary AS
FROM sigdb_data.attribution_summary;
