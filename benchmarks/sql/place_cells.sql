-- place_cells: an embedding that looks like one: a place on a ring for each cell type, and a normal spread around it.
UPDATE sigdb_data.cell_data AS c
SET
    umap_1 = 8 * cos(g.angle) + sqrt(-2 * ln(u.first)) * cos(2 * pi() * u.second),
    umap_2 = 8 * sin(g.angle) + sqrt(-2 * ln(u.first)) * sin(2 * pi() * u.second)
FROM (
    SELECT t.cell_type, 2 * pi() * row_number() OVER (ORDER BY hash(t.cell_type) ASC) / count(*) OVER () AS angle
    FROM sigdb_data.cell_data AS t
    GROUP BY t.cell_type
) AS g,
(
    SELECT o.cell_id, (hash(o.cell_id) % 1000000 + 1) / 1000001 AS first, hash(o.cell_id, 'second') % 1000000 / 1000000 AS second
    FROM sigdb_data.cell_data AS o
) AS u
WHERE c.cell_id = u.cell_id AND c.cell_type IS NOT DISTINCT FROM g.cell_type;
