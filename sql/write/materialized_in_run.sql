-- materialized_in_run: the signatures whose scores are kept for the run of id $run_id, and whether these are still those of
-- the library and of the gene names of today.
SELECT m.materialized_id, m.signature, m.gene_ids = n.genes AND m.weights = n.weights AS is_current
FROM sigdb_data.materialized_signatures AS m
LEFT JOIN (
    SELECT t._signature AS signature, list(t._gene ORDER BY t._gene) AS genes, list(t._weight ORDER BY t._gene) AS weights
    FROM sigdb_data.signature_terms(
        NULL, NULL, 'sum', $run_id, (SELECT list(q.signature) FROM sigdb_data.materialized_signatures AS q)
    ) AS t
    GROUP BY t._signature
) AS n ON m.signature = n.signature
WHERE m.run_id = $run_id
ORDER BY m.materialized_id;
