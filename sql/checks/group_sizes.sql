-- group_sizes: the number of cells of each sample and cell type agrees with group_sizes.
SELECT count(*), min(
    'run ' || coalesce(f.run_id, q.run_id) || ', sample ' || coalesce(f.sample_id, q.sample_id) || ': '
    || coalesce(q.n, 0) || ' recorded, ' || coalesce(f.n, 0) || ' found'
)
FROM (
    SELECT r.run_id, c.sample_id, c.cell_type, count(*) AS n
    FROM sigdb_data.attributed_cells AS r JOIN sigdb_data.cell_data AS c ON r.cell_id = c.cell_id
    GROUP BY r.run_id, c.sample_id, c.cell_type
) AS f
FULL JOIN (
    SELECT s.run_id, s.sample_id, s.cell_type, sum(s.n_cells) AS n
    FROM sigdb_data.group_sizes AS s
    GROUP BY s.run_id, s.sample_id, s.cell_type
) AS q ON f.run_id = q.run_id AND f.sample_id = q.sample_id AND f.cell_type IS NOT DISTINCT FROM q.cell_type
WHERE f.n IS DISTINCT FROM q.n;
