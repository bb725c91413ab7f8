-- materialize: record that the scores of a signature of the library are kept, and of what they are made; returns an id, or
-- nothing where there is nothing to score.
INSERT INTO sigdb_data.materialized_signatures (materialized_id, run_id, signature, gene_ids, weights, total_weight)
SELECT
    (SELECT coalesce(max(m.materialized_id) + 1, 0) FROM sigdb_data.materialized_signatures AS m),
    t._run, $signature, list(t._gene ORDER BY t._gene), list(t._weight ORDER BY t._gene), sum(abs(t._weight))
FROM sigdb_data.signature_terms(NULL, NULL, 'sum', $run, [$signature]) AS t
GROUP BY t._run
HAVING sum(abs(t._weight)) > 0
RETURNING materialized_id;
