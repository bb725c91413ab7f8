-- study_cells: the cells of a study, in order.
SELECT c.cell_id, c.barcode
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
WHERE s.study_id = $study_id
ORDER BY c.cell_id;
