-- samples -> VIEW
-- One row a sample: what is constant within it, and how many cells it has.
-- Columns:
--   n_cells: Cells of the sample.
-- Example: SELECT n_cells FROM samples WHERE sample = 'blood 1';  --> 3

CREATE OR REPLACE VIEW samples AS
SELECT s.*, t.study, c.n_cells
FROM sigdb_data.samples AS s
JOIN sigdb_data.studies AS t ON s.study_id = t.study_id
JOIN (SELECT q.sample_id, count(*) AS n_cells FROM sigdb_data.cell_data AS q GROUP BY q.sample_id) AS c
    ON s.sample_id = c.sample_id;
