-- signatures -> VIEW
-- The gene sets of the library: one row per signature and gene, with the weight. Genes have the names of the source.
-- Example: SELECT weight FROM signatures WHERE gene = 'S100A9';  --> 0.5

CREATE OR REPLACE VIEW signatures AS
FROM sigdb_data.signatures;
