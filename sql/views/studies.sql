-- studies -> VIEW
-- One row a study: where it comes from, its size, and how many of the atlas's genes it measured.
-- Columns:
--   n_samples: Samples of the study.
--   n_cells: Cells of the study.
--   n_genes: Genes of the atlas that the study measured.
--   source: Where it comes from.
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
