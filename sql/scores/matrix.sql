-- name: match_cells
-- For each row of sigdb_obs (position, barcode, sample): the cell of the atlas with this barcode and sample, and how
-- many cells match. A row without a sample matches by its barcode alone. $study restricts the cells to one study;
-- NULL stands for all studies.
SELECT o.position, min(c.cell_id) AS cell_id, count(c.cell_id) AS n_cells
FROM sigdb_obs AS o
LEFT JOIN (
    SELECT q.cell_id, q.barcode, s.sample
    FROM sigdb_data.cell_data AS q
    JOIN sigdb_data.samples AS s ON q.sample_id = s.sample_id
    JOIN sigdb_data.studies AS t ON s.study_id = t.study_id
    WHERE $study IS NULL OR t.study = $study
) AS c ON o.barcode = c.barcode AND (o.sample IS NULL OR o.sample = c.sample)
GROUP BY o.position
ORDER BY o.position ASC;
