-- gene_dots: the mean attribution of each gene of a signature, and the fraction of cells in which it is not 0, in
-- each group of $min_cells cells or more, from the cube. sigdb.gene_dots replaces label_column by a column of the
-- cube. A gene that a study did not measure counts as 0. n_cells_measured: the cells of the studies that measured it.
SELECT
    n.label, n.n_cells, g.symbol AS gene,
    coalesce(v.total, 0)::DOUBLE / n.n_cells AS score,
    coalesce(v.n_nonzero, 0)::DOUBLE / n.n_cells AS fraction_nonzero,
    coalesce(m.n_cells, 0)::BIGINT AS n_cells_measured
FROM (
    SELECT u.label_column AS label, sum(u.n_cells)::BIGINT AS n_cells
    FROM (
        SELECT s.* EXCLUDE (sample_id, study_id, n_cells), q.cell_type, q.n_cells
        FROM sigdb_data.group_sizes AS q
        JOIN sigdb_data.run_of($run) AS o ON q.run_id = o._run
        JOIN samples AS s ON q.sample_id = s.sample_id
    ) AS u
    GROUP BY u.label_column
) AS n
CROSS JOIN sigdb_data.signature_terms($genes, NULL, 'sum', $run, NULL) AS t
JOIN genes AS g ON t._gene = g.gene_id
LEFT JOIN (
    SELECT
        u.label_column AS label, u.gene_id,
        sum(CASE WHEN $signed THEN u.sum_signed ELSE u.sum_abs END) AS total, sum(u.n_nonzero) AS n_nonzero
    FROM (
        SELECT s.* EXCLUDE (sample_id, study_id, n_cells), q.cell_type, q.gene_id, q.sum_signed, q.sum_abs, q.n_nonzero
        FROM sigdb_data.attribution_summary AS q
        JOIN sigdb_data.run_of($run) AS o ON q.run_id = o._run
        JOIN samples AS s ON q.sample_id = s.sample_id
    ) AS u
    GROUP BY u.label_column, u.gene_id
) AS v ON n.label IS NOT DISTINCT FROM v.label AND t._gene = v.gene_id
LEFT JOIN (
    SELECT u.label_column AS label, u.gene_id, sum(u.n_cells) AS n_cells
    FROM (
        SELECT s.* EXCLUDE (sample_id, study_id, n_cells), q.cell_type, q.n_cells, k.gene_id
        FROM sigdb_data.group_sizes AS q
        JOIN sigdb_data.run_of($run) AS o ON q.run_id = o._run
        JOIN samples AS s ON q.sample_id = s.sample_id
        JOIN sigdb_data.study_genes AS k ON s.study_id = k.study_id
        SEMI JOIN sigdb_data.signature_terms($genes, NULL, 'sum', $run, NULL) AS t ON k.gene_id = t._gene
    ) AS u
    GROUP BY u.label_column, u.gene_id
) AS m ON n.label IS NOT DISTINCT FROM m.label AND t._gene = m.gene_id
WHERE n.n_cells >= $min_cells
    AND (SELECT k._error FROM sigdb_data.signature_check($genes, NULL, 'sum', $missing, $run, $signed, NULL) AS k) IS NULL
ORDER BY n.label ASC, g.symbol ASC;
