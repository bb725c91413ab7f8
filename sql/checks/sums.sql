-- sums: the absolute scores of a cell add up to the target of the run, usually 1000, to 1 in 1000.
-- They add up to 0 if nothing was attributed to the cell.
SELECT count(*), min(
    'run ' || s.run_id || ', cell ' || s.cell_id || ': ' || round(coalesce(s.total, 0), 3) || ' instead of '
    || CASE WHEN s.attribution_scale IS NULL THEN 0 ELSE s.target_sum END
)
FROM (
    SELECT r.run_id, r.cell_id, r.attribution_scale, q.target_sum, a.total
    FROM sigdb_data.attributed_cells AS r
    JOIN sigdb_data.attribution_runs AS q ON r.run_id = q.run_id
    LEFT JOIN (
        SELECT p.run_id, p.cell_id, sum(abs(p.score::DOUBLE)) AS total
        FROM sigdb_data.attributions AS p GROUP BY p.run_id, p.cell_id
    ) AS a ON r.run_id = a.run_id AND r.cell_id = a.cell_id
) AS s
WHERE CASE
    WHEN s.attribution_scale IS NULL THEN coalesce(s.total, 0) <> 0
    ELSE s.total IS NULL OR NOT abs(s.total / s.target_sum - 1) <= 0.001
END;
