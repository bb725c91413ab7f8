-- gene_batches: ranges of genes of a run that hold about $batch attributions each, in order.
SELECT b.run_id, min(b.gene_id), max(b.gene_id), sum(b.n)::UBIGINT
FROM (
    SELECT c.run_id, c.gene_id, c.n, (sum(c.n) OVER (PARTITION BY c.run_id ORDER BY c.gene_id) - c.n) // $batch AS batch
    FROM (
        SELECT a.run_id, a.gene_id, count(*) AS n FROM sigdb_data.attributions AS a GROUP BY a.run_id, a.gene_id
    ) AS c
) AS b
GROUP BY b.run_id, b.batch
ORDER BY b.run_id, min(b.gene_id);
