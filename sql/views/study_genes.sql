-- study_genes -> VIEW
-- Which of the atlas's genes a study measured. Not measured is not zero.
-- Example: SELECT count(*) FROM study_genes;  --> 3

CREATE OR REPLACE VIEW study_genes AS
FROM sigdb_data.study_genes;
