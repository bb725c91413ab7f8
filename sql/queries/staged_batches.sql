-- staged_batches: ranges of genes that have about $batch scores each in the Parquet files $files, in order.
SELECT min(b.gene_id), max(b.gene_id)
FROM (
    SELECT c.gene_id, (sum(c.n) OVER (ORDER BY c.gene_id) - c.n) // $batch AS batch
    FROM (SELECT s.gene_id, count(*) AS n FROM read_parquet($files) AS s GROUP BY s.gene_id) AS c
) AS b
GROUP BY b.batch
ORDER BY min(b.gene_id);
