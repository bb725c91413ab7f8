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

-- name: any_unread
-- One row if a run did not read some genes of cells that express them.
SELECT 1 FROM sigdb_data.unread_genes AS u LIMIT 1;

-- name: unread
-- The genes among $genes, or of the library's $signatures, that the run did not read in many of the cells that express
-- them (see unread_terms), the largest share first. run: the name of the run.
SELECT DISTINCT g.symbol, s.study, u._n_unread / u._n_expressed AS share, r.run
FROM sigdb_data.unread_terms($genes, NULL, $run, $signatures) AS u
JOIN sigdb_data.genes AS g ON u._gene = g.gene_id
JOIN sigdb_data.studies AS s ON u._study = s.study_id
CROSS JOIN (
    SELECT a.run FROM sigdb_data.attribution_runs AS a JOIN sigdb_data.run_of($run) AS o ON a.run_id = o._run
) AS r
WHERE u._is_many
ORDER BY share DESC, g.symbol ASC, s.study ASC;
