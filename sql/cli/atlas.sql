-- name: overview
-- The number of studies, cells and so on of an atlas: one row.
SELECT
    (SELECT count(*) FROM sigdb_data.studies) AS studies,
    (SELECT count(*) FROM sigdb_data.samples) AS samples,
    (SELECT count(*) FROM sigdb_data.cell_data) AS cells,
    (SELECT count(*) FROM sigdb_data.genes) AS genes,
    (SELECT count(*) FROM sigdb_data.attributions) AS scores,
    (SELECT count(*) FROM sigdb_data.signature_info) AS signatures;

-- name: studies
-- One row per study.
SELECT study, n_cells AS cells, n_samples AS samples, n_genes AS genes_measured, counts_from, source, licence
FROM studies
ORDER BY study_id ASC;

-- name: group_columns
-- The columns of the view cells by which cells can be grouped, in the order of the view, and what each describes: a study,
-- a sample or a cell. Cells are not grouped by ids and measured numbers.
SELECT
    d.column_name AS "column",
    CASE
        WHEN d.column_name = 'study' THEN 'study'
        WHEN d.column_name IN (SELECT s.column_name FROM (DESCRIBE FROM samples) AS s) THEN 'sample'
        ELSE 'cell'
    END AS describes
FROM (DESCRIBE FROM cells) AS d
WHERE d.column_type NOT IN ('FLOAT', 'DOUBLE') AND d.column_name NOT IN ('cell_id', 'sample_id', 'barcode', 'n_genes');

-- name: group_values
-- For the columns $names of the view cells, in the order of the view: the number of values of each; then the number of
-- cells that have one; then the commonest value. The first number is that of all cells. One row.
SELECT count(*) AS n_cells, count(DISTINCT COLUMNS($names)), count(COLUMNS($names)), mode(COLUMNS($names))
FROM cells;

-- name: runs
-- How the scores of an atlas were computed: one row per run.
-- median_scale: the unscaled attribution that corresponds to a score of 1.
-- median_delta: the median |completeness delta| of a cell, in units of the unscaled attributions.
-- delta_share: the same as a share of the cell's summed |attribution|.
-- median_error: the median integration error of a cell, as a share of its summed |attribution|; NULL if not estimated.
-- median_expressed, median_read: the expressed genes of the median cell, and how many genes of the median cell were read;
-- NULL if not recorded. share_cut: the part of the cells of which not all expressed genes were read.
SELECT
    r.run, m.model, m.architecture, r.method, r.n_steps AS steps, r.baseline, r.summation, r.target_sum,
    r.is_signed AS signed,
    count(c.cell_id) AS cells,
    count(*) FILTER (c.cell_id IS NOT NULL AND c.attribution_scale IS NULL) AS cells_without,
    median(c.attribution_scale) AS median_scale,
    median(abs(c.completeness_delta)) FILTER (c.attribution_scale IS NOT NULL) AS median_delta,
    median(abs(c.completeness_delta) / (c.attribution_scale * r.target_sum)) AS delta_share,
    median(c.integration_error) AS median_error,
    median(c.n_expressed) AS median_expressed,
    median(c.n_read) AS median_read,
    count(*) FILTER (c.n_read < c.n_expressed) / nullif(count(c.n_read), 0) AS share_cut,
    r.finished
FROM sigdb_data.attribution_runs AS r
JOIN sigdb_data.models AS m ON r.model_id = m.model_id
LEFT JOIN sigdb_data.attributed_cells AS c ON r.run_id = c.run_id
GROUP BY ALL
ORDER BY r.run ASC;
