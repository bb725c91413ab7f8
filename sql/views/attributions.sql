-- attributions -> VIEW
-- The scores: one row a non-zero (gene, cell) of a run, signed; no row is 0. Join genes and cells for names.
-- Example: SELECT score FROM attributions WHERE cell_id = 1;  --> 9.0

CREATE OR REPLACE VIEW attributions AS
FROM sigdb_data.attributions;
