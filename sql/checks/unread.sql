-- unread: of its expressed genes, a cell has the scores of genes that were read; unread_genes counts the others.
-- n_read is at most n_expressed. With the baseline zero, a cell has at most n_read scores. unread_genes has a gene once per
-- run and study, and its counts add up to n_expressed - n_read. Scores that were computed elsewhere may lack these counts.
SELECT sum(w.n), min(w.example)
FROM (
    SELECT count(*) AS n, min(
        'run ' || c.run_id || ', cell ' || c.cell_id || ': ' || coalesce(c.n_expressed::VARCHAR, 'NULL') || ' expressed, '
        || coalesce(c.n_read::VARCHAR, 'NULL') || ' read, ' || coalesce(a.n, 0) || ' scores'
    ) AS example
    FROM sigdb_data.attributed_cells AS c
    JOIN sigdb_data.attribution_runs AS r ON c.run_id = r.run_id
    LEFT JOIN (
        SELECT q.run_id, q.cell_id, count(*) AS n FROM sigdb_data.attributions AS q GROUP BY q.run_id, q.cell_id
    ) AS a ON c.run_id = a.run_id AND c.cell_id = a.cell_id
    WHERE (c.n_expressed IS NULL) <> (c.n_read IS NULL) OR c.n_read > c.n_expressed
        OR (c.n_read < a.n AND r.baseline = 'zero')
    UNION ALL
    SELECT count(*), min(
        'run ' || coalesce(f.run_id, u.run_id) || ', study ' || coalesce(f.study_id, u.study_id) || ': ' || coalesce(u.n, 0)
        || ' counted by gene, ' || coalesce(f.n, 0) || ' by cell'
    )
    FROM (
        SELECT c.run_id, s.study_id, sum(c.n_expressed::BIGINT - c.n_read) AS n
        FROM sigdb_data.attributed_cells AS c
        JOIN sigdb_data.cell_data AS d ON c.cell_id = d.cell_id
        JOIN sigdb_data.samples AS s ON d.sample_id = s.sample_id
        GROUP BY c.run_id, s.study_id
    ) AS f
    FULL JOIN (
        SELECT q.run_id, q.study_id, sum(q.n_cells) AS n FROM sigdb_data.unread_genes AS q GROUP BY q.run_id, q.study_id
    ) AS u ON f.run_id = u.run_id AND f.study_id = u.study_id
    LEFT JOIN (
        SELECT r.run_id
        FROM sigdb_data.attribution_runs AS r JOIN sigdb_data.models AS m ON r.model_id = m.model_id
        WHERE m.architecture = 'precomputed'
    ) AS p ON f.run_id = p.run_id
    WHERE coalesce(f.n, 0) <> coalesce(u.n, 0) AND (u.n IS NOT NULL OR p.run_id IS NULL)
    UNION ALL
    SELECT count(*), min('run ' || d.run_id || ', study ' || d.study_id || ', gene ' || d.gene_id || ': ' || d.n || ' rows')
    FROM (
        SELECT q.run_id, q.study_id, q.gene_id, count(*) AS n, min(q.n_cells) AS least
        FROM sigdb_data.unread_genes AS q GROUP BY q.run_id, q.study_id, q.gene_id
    ) AS d
    WHERE d.n > 1 OR d.least = 0
) AS w;
