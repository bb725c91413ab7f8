-- chosen_groups(cell_type, disease, tissue, study, run) -> TABLE (_sample, _type, _study, _n)
-- Internal: the groups (sample and cell type) of a run that have these labels, with their cells. NULL stands for any label.
-- Units:   _n: cells.
-- Example: SELECT _n FROM sigdb_data.chosen_groups('monocyte', NULL, NULL, NULL, NULL);  --> 1

CREATE OR REPLACE MACRO sigdb_data.chosen_groups(cell_type, disease, tissue, study, run) AS TABLE
SELECT n._sample, n._type, s._study_id AS _study, n._n
FROM (
    SELECT q.sample_id AS _sample, q.cell_type AS _type, q.n_cells AS _n
    FROM sigdb_data.group_sizes AS q JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
) AS n
JOIN sigdb_data.sample_labels() AS s ON n._sample = s._sample
WHERE (cell_type IS NULL OR n._type = cell_type)
    AND (disease IS NULL OR s._disease = disease)
    AND (tissue IS NULL OR s._tissue = tissue)
    AND (study IS NULL OR s._study = study);
