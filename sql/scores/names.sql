-- name: looked_up
-- The names among $genes, or among the genes of the library's $signatures, that are not symbols of the run's genes: what
-- each means. symbol is NULL for a name that means no gene of the run. n_asked: how many names there are, all counted.
SELECT DISTINCT ON (r._asked)
    r._asked AS name, r._symbol AS symbol, r._status AS status, r._suggestion AS suggestion, n.n_asked
FROM sigdb_data.gene_report($genes, NULL, $run, $signatures) AS r
CROSS JOIN (
    SELECT count(DISTINCT u.name) AS n_asked
    FROM (
        SELECT unnest($genes::VARCHAR[]) AS name
        UNION ALL
        SELECT q.gene FROM sigdb_data.signatures AS q WHERE list_contains($signatures::VARCHAR[], q.signature)
    ) AS u
) AS n
WHERE r._status <> 'ok'
ORDER BY r._position ASC;
