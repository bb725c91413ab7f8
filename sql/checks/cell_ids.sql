-- cell_ids: every cell_id occurs once among the cells, and once per run at most.
SELECT count(*), min(d.place || ' has cell ' || d.cell_id || ' ' || d.n || ' times')
FROM (
    SELECT 'cell_data' AS place, c.cell_id, count(*) AS n FROM sigdb_data.cell_data AS c GROUP BY c.cell_id
    UNION ALL
    SELECT 'run ' || r.run_id, r.cell_id, count(*) FROM sigdb_data.attributed_cells AS r GROUP BY r.run_id, r.cell_id
) AS d
WHERE d.n > 1;
