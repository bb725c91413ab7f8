-- studies -> VIEW
-- One row per study: its source, its size, and how many genes of the atlas it measured.
-- Columns:
--   n_samples: Number of samples of the study.
--   n_cells: Number of cells of the study.
--   n_genes: Number of genes of the atlas that the study measured.
--   source: Source of the study.
-- Example: SELECT n_cells FROM studies;  --> 3

CREATE OR REPLACE VIEW studies AS
SELECT t.*, c.n_samples, c.n_cells, g.n_genes
FROM sigdb_data.studies AS t
JOIN (
    SELECT s.study_id, count(DISTINCT s.sample_id) AS n_samples, count(*) AS n_cells
    FROM sigdb_data.samples AS s JOIN sigdb_data.cell_data AS q ON s.sample_id = q.sample_id
    GROUP BY s.study_id
) AS c ON t.study_id = c.study_id
JOIN (SELECT q.study_id, count(*) AS n_genes FROM sigdb_data.study_genes AS q GROUP BY q.study_id) AS g
    ON t.study_id = g.study_id;
