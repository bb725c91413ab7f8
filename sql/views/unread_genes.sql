-- unread_genes -> VIEW
-- The genes that cells express and that the model did not read in them, because it reads a limited number of genes of a
-- cell: one row per run, study and gene. Not read does not mean 0. A run without rows read all genes, or it is not
-- recorded: then n_read of attributed_cells is NULL.
-- Columns:
--   n_cells: Cells of the study that express the gene, in which the model did not read it.
-- Example: SELECT count(*) FROM unread_genes;  --> 0

CREATE OR REPLACE VIEW unread_genes AS
FROM sigdb_data.unread_genes;
