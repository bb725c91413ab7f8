-- cube: attribution_summary holds the sums of the attributions, to 1 in a million.
-- For the genes from $first to $last.
SELECT count(*), min(
    'run ' || coalesce(f.run_id, q.run_id) || ', sample ' || coalesce(f.sample_id, q.sample_id) || ', gene '
    || coalesce(f.gene_id, q.gene_id) || ': sum of |score| ' || coalesce(round(q.sum_abs, 6)::VARCHAR, 'none') || ', '
    || coalesce(round(f.sum_abs, 6)::VARCHAR, 'none') || ' by the attributions'
)
FROM (
    SELECT
        a.run_id, c.sample_id, c.cell_type, a.gene_id, count(*) AS n, sum(abs(a.score::DOUBLE)) AS sum_abs,
        sum(a.score::DOUBLE) AS sum_signed, sum(a.score::DOUBLE * a.score::DOUBLE) AS sum_sq
    FROM sigdb_data.attributions AS a
    JOIN sigdb_data.cell_data AS c ON a.cell_id = c.cell_id
    WHERE a.gene_id BETWEEN $first AND $last
    GROUP BY a.run_id, c.sample_id, c.cell_type, a.gene_id
) AS f
FULL JOIN (
    SELECT
        s.run_id, s.sample_id, s.cell_type, s.gene_id, sum(s.n_nonzero) AS n, sum(s.sum_abs) AS sum_abs,
        sum(s.sum_signed) AS sum_signed, sum(s.sum_sq) AS sum_sq
    FROM sigdb_data.attribution_summary AS s
    WHERE s.gene_id BETWEEN $first AND $last
    GROUP BY s.run_id, s.sample_id, s.cell_type, s.gene_id
) AS q ON f.run_id = q.run_id AND f.sample_id = q.sample_id AND f.gene_id = q.gene_id
    AND f.cell_type IS NOT DISTINCT FROM q.cell_type
WHERE f.n IS DISTINCT FROM q.n
    OR NOT abs(f.sum_abs - q.sum_abs) <= 1e-6 * f.sum_abs
    OR NOT abs(f.sum_signed - q.sum_signed) <= 1e-6 * f.sum_abs
    OR NOT abs(f.sum_sq - q.sum_sq) <= 1e-6 * f.sum_sq;
