-- gene_ranges: ranges of gene ids that hold about $batch attributions each, in order; together they are all ids there can be.
-- An attribution without a gene is in none: sql/checks/orphans.sql finds it.
SELECT coalesce(lag(max(b.gene_id)) OVER (ORDER BY b.batch) + 1, 0) AS first, max(b.gene_id) AS last
FROM (
    SELECT c.gene_id, (sum(c.n) OVER (ORDER BY c.gene_id) - c.n) // $batch AS batch
    FROM (
        SELECT a.gene_id, count(*) AS n FROM sigdb_data.attributions AS a GROUP BY a.gene_id
        UNION ALL
        SELECT 4294967295, 0
    ) AS c
) AS b
GROUP BY b.batch
ORDER BY b.batch;
