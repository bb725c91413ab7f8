-- cell_studies: the study of each cell, up to the cell $last.
SELECT c.cell_id, s.study_id
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
WHERE c.cell_id <= $last;
