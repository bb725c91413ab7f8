-- 004: schema 5 estimates the error of each cell's integral. Cells that were attributed before have no estimate.
ALTER TABLE sigdb_data.attributed_cells ADD COLUMN integration_error FLOAT;
