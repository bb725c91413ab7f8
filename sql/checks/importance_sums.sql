-- importance_sums: the sums of gene_importance are those of the cube, to 1 in a million.
-- For the genes from $first to $last.
SELECT count(*), min(
    'group ' || coalesce(f._group, q.group_id) || ', gene ' || coalesce(f._gene, q.gene_id) || ': sum of |score| '
    || coalesce(round(q.sum_abs, 6)::VARCHAR, 'none') || ', ' || coalesce(round(f._sum_abs, 6)::VARCHAR, 'none')
    || ' by the cube'
)
FROM (SELECT s.* FROM sigdb_data.importance_sums_of(NULL, NULL) AS s WHERE s._gene BETWEEN $first AND $last) AS f
FULL JOIN (
    SELECT
        s.group_id, s.gene_id, sum(s.n_nonzero) AS n, sum(s.sum_abs) AS sum_abs, sum(s.sum_signed) AS sum_signed
    FROM sigdb_data.importance_sums AS s
    WHERE s.gene_id BETWEEN $first AND $last
    GROUP BY s.group_id, s.gene_id
) AS q ON f._group = q.group_id AND f._gene = q.gene_id
WHERE f._n_nonzero IS DISTINCT FROM q.n
    OR NOT abs(f._sum_abs - q.sum_abs) <= 1e-6 * f._sum_abs
    OR NOT abs(f._sum_signed - q.sum_signed) <= 1e-6 * f._sum_abs;
