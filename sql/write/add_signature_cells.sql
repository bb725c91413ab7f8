-- add_signature_cells: the scores of a materialised signature ($materialized_id) in the cells $first to $last.
INSERT INTO sigdb_data.signature_cells (materialized_id, cell_id, score)
SELECT $materialized_id, u.cell_id, sum(u.value)
FROM (
    SELECT a.cell_id, t.weight * abs(a.score) AS value
    FROM sigdb_data.attributions AS a
    JOIN (
        SELECT m.run_id, unnest(m.gene_ids) AS gene_id, unnest(m.weights) / m.total_weight AS weight
        FROM sigdb_data.materialized_signatures AS m
        WHERE m.materialized_id = $materialized_id
    ) AS t ON a.run_id = t.run_id AND a.gene_id = t.gene_id
    WHERE a.cell_id BETWEEN $first AND $last
    UNION ALL
    SELECT r.cell_id, 0.0 AS value
    FROM sigdb_data.attributed_cells AS r
    JOIN sigdb_data.materialized_signatures AS m ON r.run_id = m.run_id
    WHERE m.materialized_id = $materialized_id AND r.cell_id BETWEEN $first AND $last
) AS u
GROUP BY u.cell_id
ORDER BY u.cell_id;
