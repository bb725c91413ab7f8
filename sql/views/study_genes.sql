-- study_genes -> VIEW
-- The genes of the atlas that each study measured. Not measured does not mean 0.
-- Example: SELECT count(*) FROM study_genes;  --> 3

CREATE OR REPLACE VIEW study_genes AS
FROM sigdb_data.study_genes;
