-- cells -> VIEW
-- One row per cell: the columns of the cell, its sample and its study, and all other columns of the studies' obs.
-- Columns:
--   n_genes: Genes of the study's file with counts in the cell; NULL if unknown.
-- Example: SELECT cell_type FROM cells WHERE cell_id = 1;  --> T cell

CREATE OR REPLACE VIEW cells AS
SELECT
    c.*,
    s.sample, s.donor, s.tissue, s.disease, s.assay, s.sex, s.development_stage, s.in_vivo,
    t.study
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id;
