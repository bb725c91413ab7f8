-- name: materialize
-- Record that the scores of a signature of the library are kept, with the genes and weights that make them. Returns an
-- id, or nothing if the run knows no gene of the signature.
INSERT INTO sigdb_data.materialized_signatures (materialized_id, run_id, signature, gene_ids, weights, total_weight)
SELECT
    (SELECT coalesce(max(m.materialized_id) + 1, 0) FROM sigdb_data.materialized_signatures AS m),
    t._run, $signature, list(t._gene ORDER BY t._gene ASC), list(t._weight ORDER BY t._gene ASC), sum(abs(t._weight))
FROM sigdb_data.signature_terms(NULL, NULL, 'sum', $run, [$signature]) AS t
GROUP BY t._run
HAVING sum(abs(t._weight)) > 0
RETURNING materialized_id;

-- name: materialized_in_run
-- The signatures whose scores are kept for the run of id $run_id, and whether their genes and weights still agree with
-- the library and with the current gene names.
SELECT m.materialized_id, m.signature, m.gene_ids = n.genes AND m.weights = n.weights AS is_current
FROM sigdb_data.materialized_signatures AS m
LEFT JOIN (
    SELECT t._signature AS signature, list(t._gene ORDER BY t._gene ASC) AS genes, list(t._weight ORDER BY t._gene ASC) AS weights
    FROM sigdb_data.signature_terms(
        NULL, NULL, 'sum', $run_id, (SELECT list(q.signature) FROM sigdb_data.materialized_signatures AS q)
    ) AS t
    GROUP BY t._signature
) AS n ON m.signature = n.signature
WHERE m.run_id = $run_id
ORDER BY m.materialized_id ASC;

-- name: all_materialized
-- The signatures whose scores are kept, and the run of each.
SELECT m.signature, m.run_id FROM sigdb_data.materialized_signatures AS m;

-- name: clear_signature_cells
-- Delete all kept scores.
DELETE FROM sigdb_data.signature_cells;

-- name: add_signature_cells
-- Add the scores of a materialised signature ($materialized_id) in the cells from $first to $last.
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
ORDER BY u.cell_id ASC;

-- name: drop_signature_cells
-- Delete the kept scores of the signatures $signatures, in the run of id $run_id, or in all runs if it is NULL.
DELETE FROM sigdb_data.signature_cells
WHERE materialized_id IN (
    SELECT m.materialized_id
    FROM sigdb_data.materialized_signatures AS m
    WHERE list_contains($signatures, m.signature) AND ($run_id IS NULL OR m.run_id = $run_id)
);

-- name: drop_materialized
-- Record that the scores of the signatures $signatures are no longer kept, in the run of id $run_id, or in all runs.
DELETE FROM sigdb_data.materialized_signatures AS m
WHERE list_contains($signatures, m.signature) AND ($run_id IS NULL OR m.run_id = $run_id);
