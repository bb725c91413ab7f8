-- attributions -> VIEW
-- The scores, with signs: one row per run, gene and cell with a score other than 0. A pair without a row is 0.
-- Join genes and cells for names.
-- Example: SELECT score FROM attributions WHERE cell_id = 1;  --> 9.0

CREATE OR REPLACE VIEW attributions AS
FROM sigdb_data.attributions;
