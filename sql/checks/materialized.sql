-- materialized: the kept scores agree with the attributions, to 1 in 100,000.
SELECT count(*), min(
    'signature ' || coalesce(f.materialized_id, q.materialized_id) || ', cell ' || coalesce(f.cell_id, q.cell_id) || ': '
    || coalesce(q.score::VARCHAR, 'none') || ', ' || coalesce(round(f.score, 6)::VARCHAR, 'none') || ' by the attributions'
)
FROM (
    SELECT r.materialized_id, r.cell_id, coalesce(v.score, 0) AS score
    FROM (
        SELECT m.materialized_id, m.run_id, c.cell_id
        FROM sigdb_data.materialized_signatures AS m JOIN sigdb_data.attributed_cells AS c ON m.run_id = c.run_id
    ) AS r
    LEFT JOIN (
        SELECT t.materialized_id, a.cell_id, sum(t.weight * abs(a.score)) AS score
        FROM sigdb_data.attributions AS a
        JOIN (
            SELECT m.materialized_id, m.run_id, unnest(m.gene_ids) AS gene_id, unnest(m.weights) / m.total_weight AS weight
            FROM sigdb_data.materialized_signatures AS m
        ) AS t ON a.run_id = t.run_id AND a.gene_id = t.gene_id
        GROUP BY t.materialized_id, a.cell_id
    ) AS v ON r.materialized_id = v.materialized_id AND r.cell_id = v.cell_id
) AS f
FULL JOIN sigdb_data.signature_cells AS q ON f.materialized_id = q.materialized_id AND f.cell_id = q.cell_id
WHERE f.score IS NULL OR q.score IS NULL OR NOT abs(f.score - q.score) <= 1e-5 * abs(f.score) + 1e-6;
