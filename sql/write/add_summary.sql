-- add_summary: the cube of a run for the cells $first to $last: exact sums a sample, cell type and gene.
-- Sums are of the stored FLOAT scores, in double precision.
INSERT INTO sigdb_data.attribution_summary (
    run_id, sample_id, cell_type, gene_id, n_nonzero, sum_abs, sum_signed, sum_sq
)
SELECT
    a.run_id, c.sample_id, c.cell_type, a.gene_id, count(*),
    sum(abs(a.score::DOUBLE)), sum(a.score::DOUBLE), sum(a.score::DOUBLE * a.score::DOUBLE)
FROM sigdb_data.attributions AS a
JOIN sigdb_data.cell_data AS c ON a.cell_id = c.cell_id
WHERE a.run_id = $run_id AND a.cell_id BETWEEN $first AND $last
GROUP BY a.run_id, c.sample_id, c.cell_type, a.gene_id
ORDER BY a.gene_id, c.sample_id, c.cell_type;
