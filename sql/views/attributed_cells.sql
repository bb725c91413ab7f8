-- attributed_cells -> VIEW
-- One row per cell and run. attribution_scale x score is the attribution before scaling. completeness_delta is the sum
-- of a cell's unscaled attributions minus (f(cell) - f(baseline)). Both are NULL for a cell without counts.
-- Example: SELECT attribution_scale FROM attributed_cells WHERE cell_id = 0;  --> 0.5

CREATE OR REPLACE VIEW attributed_cells AS
FROM sigdb_data.attributed_cells;
