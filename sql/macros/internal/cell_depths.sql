-- cell_depths(run) -> TABLE (_cell, _study, _depth)
-- Internal: the study of each cell that the run has attributed, and its depth stratum: cells whose numbers of detected genes
-- differ by less than a factor of the square root of 2. The stratum starts at 2 ** (_depth / 2) genes. It is -1 for cells
-- whose number of detected genes is unknown.
-- Units:   none.
-- Example: SELECT _depth FROM sigdb_data.cell_depths(NULL) WHERE _cell = 0;  --> 4

CREATE OR REPLACE MACRO sigdb_data.cell_depths(run) AS TABLE
SELECT
    c.cell_id AS _cell, s.study_id AS _study,
    CASE WHEN c.n_genes > 1 THEN floor(2 * log2(c.n_genes)) WHEN c.n_genes IS NULL THEN -1 ELSE 0 END::INTEGER AS _depth
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
JOIN sigdb_data.run_cells(run) AS r ON c.cell_id = r._cell;
