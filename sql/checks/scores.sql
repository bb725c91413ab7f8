-- scores: every stored score is a finite number other than 0 and is stored once.
-- For the genes from $first to $last.
SELECT coalesce(sum(b.n), 0), min(b.what) FILTER (b.n > 0)
FROM (
    SELECT
        count(*) AS n,
        min('run ' || a.run_id || ', gene ' || a.gene_id || ', cell ' || a.cell_id || ': ' || coalesce(a.score::VARCHAR, 'NULL'))
            AS what
    FROM sigdb_data.attributions AS a
    WHERE a.gene_id BETWEEN $first AND $last AND (a.score IS NULL OR NOT isfinite(a.score) OR a.score = 0)
    UNION ALL
    SELECT count(*), min('run ' || d.run_id || ', gene ' || d.gene_id || ', cell ' || d.cell_id || ' ' || d.n || ' times')
    FROM (
        SELECT a.run_id, a.gene_id, a.cell_id, count(*) AS n
        FROM sigdb_data.attributions AS a
        WHERE a.gene_id BETWEEN $first AND $last
        GROUP BY a.run_id, a.gene_id, a.cell_id
    ) AS d
    WHERE d.n > 1
) AS b;
