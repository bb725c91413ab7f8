-- attributed_cells -> VIEW
-- One row per cell and run. attribution_scale x score is the attribution before scaling. completeness_delta is the sum
-- of a cell's unscaled attributions minus (f(cell) - f(baseline)). All are NULL for a cell without counts. A cell with
-- counts to which nothing was attributed, because its gradient is 0, has a delta and no scale. integration_error
-- estimates the error of Integrated Gradients as a share of a cell's attribution, and is NULL for other methods.
-- n_read of the n_expressed genes of a cell were read by the model. The others have no score, which does not mean 0.
-- Example: SELECT attribution_scale FROM attributed_cells WHERE cell_id = 0;  --> 0.5

CREATE OR REPLACE VIEW attributed_cells AS
FROM sigdb_data.attributed_cells;
