-- add_cells: cells with all their own columns (sigdb_obs); the fields of the sample are replaced by its id.
INSERT INTO sigdb_data.cell_data BY NAME
SELECT s.sample_id, o.* EXCLUDE (sample, donor, tissue, disease, assay, sex, development_stage, in_vivo)
FROM sigdb_obs AS o
JOIN sigdb_data.samples AS s ON s.study_id = $study_id AND s.sample = o.sample
ORDER BY o.cell_id;
