-- clear_study: remove all cells of a study, which are those of sigdb_dropped_cells (cell_id) and of the samples in
-- sigdb_dropped_samples (study_id, sample_id): scores in all runs, their sums, what the study measured, the ledger. Genes,
-- models, runs and columns of cell_data stay, and so do the ids of all other studies.
DELETE FROM sigdb_data.attributions WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.attributed_cells WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.signature_cells WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.cell_data WHERE cell_id IN (SELECT d.cell_id FROM sigdb_dropped_cells AS d);
DELETE FROM sigdb_data.attribution_summary WHERE sample_id IN (SELECT d.sample_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.group_sizes WHERE sample_id IN (SELECT d.sample_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.study_genes WHERE study_id IN (SELECT d.study_id FROM sigdb_dropped_samples AS d);
DELETE FROM sigdb_data.ingest_chunks WHERE study_id IN (SELECT d.study_id FROM sigdb_dropped_samples AS d);
