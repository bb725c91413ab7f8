-- cells -> VIEW
-- One row a cell: its own columns, those of its sample and of its study, and every further column of the study's obs.
-- Columns:
--   n_genes: Genes of the study's file with a count in the cell; NULL if not known.
-- Example: SELECT cell_type FROM cells WHERE cell_id = 1;  --> T cell

CREATE OR REPLACE VIEW cells AS
SELECT
    c.*,
    s.sample, s.donor, s.tissue, s.disease, s.assay, s.sex, s.development_stage, s.in_vivo,
    t.study
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id;
