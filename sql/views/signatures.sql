-- signatures -> VIEW
-- The gene sets of the library: gene as given, and weight.
-- Example: SELECT weight FROM signatures WHERE gene = 'S100A9';  --> 0.5

CREATE OR REPLACE VIEW signatures AS
FROM sigdb_data.signatures;
