-- name: match_cells
-- For each row of sigdb_obs (position, barcode, sample), the cell of the atlas that it is, and how many it could
-- be. A row whose sample is NULL is matched by its barcode alone; $study NULL: cells of any study.
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
ORDER BY o.position;
