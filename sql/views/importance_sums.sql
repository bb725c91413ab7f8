-- importance_sums -> VIEW
-- The cube added up over samples: for each gene, sums over the cells of a group of importance_groups.
-- Example: SELECT sum_abs FROM importance_sums JOIN importance_groups USING (group_id) WHERE cell_type = 'T cell';  --> 9.0

CREATE OR REPLACE VIEW importance_sums AS
FROM sigdb_data.importance_sums;
