-- samples -> VIEW
-- One row per sample: the metadata that are constant within the sample, and its number of cells.
-- Columns:
--   n_cells: Number of cells of the sample.
-- Example: SELECT n_cells FROM samples WHERE sample = 'blood 1';  --> 3

CREATE OR REPLACE VIEW samples AS
SELECT s.*, t.study, c.n_cells
FROM sigdb_data.samples AS s
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id
JOIN (SELECT q.sample_id, count(*) AS n_cells FROM sigdb_data.cell_data AS q GROUP BY q.sample_id) AS c
    ON s.sample_id = c.sample_id;
