-- name: create_schema
-- The schema of the views that take the place of the tables.
CREATE SCHEMA sigdb_data;

-- name: show_attributions
-- The attributions in $files, whose folders give the run. With union_by_name, DuckDB reads the statistics of all files
-- when it plans a query. It then knows the largest cell_id and can sum by cell in an array.
SELECT q.run_id, q.gene_id, q.cell_id, q.score
FROM read_parquet($files, hive_partitioning = true, union_by_name = true, hive_types = {'run_id': 'UINTEGER', 'gene_bucket': 'USMALLINT'}) AS q;

-- name: show_table
-- The rows in $files. union_by_name has the same purpose as in show_attributions.
SELECT q.* FROM read_parquet($files, hive_partitioning = false, union_by_name = true) AS q;

-- name: show_atlas_info
-- The facts about an atlas in $files. A lake of an older schema is shown with the tables of this one, $schema_version.
SELECT q.key, CASE WHEN q.key = 'schema_version' THEN $schema_version ELSE q.value END AS value
FROM read_parquet($files, hive_partitioning = false, union_by_name = true) AS q;

-- name: show_importance_groups
-- The groups of gene_importance, for a lake of schema 5, which has no files of them.
CREATE VIEW sigdb_data.importance_groups AS
SELECT
    (g._number - 1)::UINTEGER AS group_id, g._run AS run_id, g._study AS study_id, g._type AS cell_type,
    g._disease AS disease, g._tissue AS tissue, g._all_types AS all_types, g._one_condition AS one_condition,
    g._all_conditions AS all_conditions
FROM sigdb_data.importance_groups_of(NULL, NULL) AS g;

-- name: show_importance_sums
-- The sums of gene_importance, for a lake of schema 5, which has no files of them.
CREATE VIEW sigdb_data.importance_sums AS
SELECT
    s._group AS group_id, s._gene AS gene_id, s._n_nonzero AS n_nonzero, s._sum_abs AS sum_abs,
    s._sum_signed AS sum_signed
FROM sigdb_data.importance_sums_of(NULL, NULL) AS s;

-- name: show_unread_genes
-- No genes, for a lake of a schema before 7, which does not record which genes were not read.
CREATE VIEW sigdb_data.unread_genes AS
SELECT NULL::UINTEGER AS run_id, NULL::USMALLINT AS study_id, NULL::UINTEGER AS gene_id, NULL::UINTEGER AS n_cells
WHERE FALSE;

-- name: show_older_attributed_cells
-- The attributed cells in $files, for a lake of a schema before 7: it is not recorded how many genes were read.
SELECT q.*, NULL::UINTEGER AS n_expressed, NULL::UINTEGER AS n_read
FROM read_parquet($files, hive_partitioning = false, union_by_name = true) AS q;

-- name: drop_attributions
-- Drop the table, to make room for a view of the same name.
DROP TABLE sigdb_data.attributions;

-- name: drop_attribution_summary
-- Drop the table, to make room for a view of the same name.
DROP TABLE sigdb_data.attribution_summary;

-- name: drop_importance_sums
-- Drop the table, to make room for a view of the same name.
DROP TABLE sigdb_data.importance_sums;

-- name: clear_atlas_info
-- Empty the table of facts about a new atlas, before the facts of a lake are inserted.
DELETE FROM sigdb_data.atlas_info;
