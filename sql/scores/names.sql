-- name: looked_up
-- The names among $genes, or among the genes of the library's $signatures, that are not symbols of the run's genes: what
-- each means. symbol is NULL for a name that means no gene of the run. n_asked: how many names there are, all counted.
SELECT DISTINCT ON (r._asked)
    r._asked AS name, r._symbol AS symbol, r._status AS status, r._suggestion AS suggestion, r._n AS n_asked
FROM (
    SELECT g._position, g._asked, g._symbol, g._status, g._suggestion, count(DISTINCT g._asked) OVER () AS _n
    FROM sigdb_data.gene_report($genes, NULL, $run, $signatures) AS g
) AS r
WHERE r._status <> 'ok'
ORDER BY r._position ASC;
