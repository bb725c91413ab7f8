-- unit_genes: the sum of |attribution| of every gene over the cells of each unit, from the cube. sigdb.gene_compare
-- adds the columns that make a unit, and groups by them and the gene. In rows without a gene, n_cells is the number
-- of cells of the unit, and median_counts and median_detected are the median, over its samples and cell types, of the counts
-- and detected genes of the median cell.
SELECT
    u.gene AS gene,
    sum(u.sum_abs) AS total,
    sum(u.n_nonzero)::BIGINT AS n_nonzero,
    sum(u.n_cells)::BIGINT AS n_cells,
    list(DISTINCT u.donor ORDER BY u.donor ASC) AS donors,
    median(u.median_counts) AS median_counts,
    median(u.median_detected) AS median_detected
FROM (
    SELECT
        s.* EXCLUDE (sample_id, study_id, n_cells), a.cell_type, g.symbol AS gene,
        CASE WHEN $signed THEN a.sum_signed ELSE a.sum_abs END AS sum_abs, a.n_nonzero, 0 AS n_cells,
        NULL::DOUBLE AS median_counts, NULL::DOUBLE AS median_detected
    FROM sigdb_data.attribution_summary AS a
    JOIN sigdb_data.run_of($run) AS o ON a.run_id = o._run
    JOIN genes AS g ON a.gene_id = g.gene_id
    JOIN samples AS s ON a.sample_id = s.sample_id
    UNION ALL
    SELECT
        s.* EXCLUDE (sample_id, study_id, n_cells), n.cell_type, NULL AS gene, 0.0, 0, n.n_cells,
        d.median_counts, d.median_detected
    FROM sigdb_data.group_sizes AS n
    JOIN sigdb_data.run_of($run) AS o ON n.run_id = o._run
    JOIN samples AS s ON n.sample_id = s.sample_id
    JOIN (
        SELECT c.sample_id, c.cell_type, median(c.n_counts) AS median_counts, median(c.n_genes) AS median_detected
        FROM sigdb_data.cell_data AS c
        GROUP BY c.sample_id, c.cell_type
    ) AS d ON n.sample_id = d.sample_id AND n.cell_type IS NOT DISTINCT FROM d.cell_type
) AS u
WHERE (SELECT e._error FROM sigdb_data.run_check($run, $signed) AS e) IS NULL;
