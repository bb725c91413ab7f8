-- gene_coverage -> VIEW
-- One row per gene: how many studies measured it, and how many cells these studies have.
-- Not measured does not mean 0.
-- Columns:
--   gene: Symbol of the gene.
--   n_studies: Studies that measured the gene.
--   n_cells: Cells of these studies.
--   fraction_of_cells: Fraction of all cells, from 0 to 1.
-- Example: SELECT n_cells FROM gene_coverage WHERE gene = 'CD3E';  --> 3

CREATE OR REPLACE VIEW gene_coverage AS
SELECT
    g.symbol AS gene, g.gene_id, count(m.study_id) AS n_studies, coalesce(sum(c.n_cells), 0)::BIGINT AS n_cells,
    coalesce(sum(c.n_cells), 0)::DOUBLE / any_value(a.n_cells) AS fraction_of_cells
FROM sigdb_data.genes AS g
LEFT JOIN sigdb_data.study_genes AS m ON g.gene_id = m.gene_id
LEFT JOIN (
    SELECT s.study_id, count(*) AS n_cells
    FROM sigdb_data.cell_data AS q JOIN sigdb_data.samples AS s ON q.sample_id = s.sample_id
    GROUP BY s.study_id
) AS c ON m.study_id = c.study_id
CROSS JOIN (SELECT count(*) AS n_cells FROM sigdb_data.cell_data) AS a
GROUP BY g.symbol, g.gene_id;
