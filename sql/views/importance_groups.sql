-- importance_groups -> VIEW
-- The groups of cells whose sums importance_sums has: per run and study, each cell type and all cell types, in each
-- condition (a disease and a tissue) and in all conditions. The groups overlap: choose one kind of them by the three flags.
-- Example: SELECT one_condition AND all_conditions FROM importance_groups WHERE cell_type = 'T cell';  --> true

CREATE OR REPLACE VIEW importance_groups AS
FROM sigdb_data.importance_groups;
