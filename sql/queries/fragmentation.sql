-- fragmentation: how many row groups queries of one gene of one run each have to read, all together; and how many if the
-- attributions were sorted. DuckDB skips a row group if its ranges lack the run or the gene. They hold up to
-- 122,880 rows, those of an optimized atlas twice as many; all are taken to be as large as the largest.
WITH row_groups AS (
    SELECT
        p.row_group_id,
        min(p.least) FILTER (p.column_name = 'run_id') AS first_run,
        max(p.most) FILTER (p.column_name = 'run_id') AS last_run,
        min(p.least) FILTER (p.column_name = 'gene_id') AS first_gene,
        max(p.most) FILTER (p.column_name = 'gene_id') AS last_gene,
        sum(p.n) FILTER (p.column_name = 'run_id') AS n
    FROM (
        SELECT
            q.row_group_id, q.column_name, q.count AS n,
            regexp_extract(q.stats::VARCHAR, '(?i)min''?: (\d+)', 1)::INTEGER AS least,
            regexp_extract(q.stats::VARCHAR, '(?i)max''?: (\d+)', 1)::INTEGER AS most
        FROM pragma_storage_info('sigdb_data.attributions') AS q
        WHERE q.column_name IN ('run_id', 'gene_id') AND q.segment_type <> 'VALIDITY'
    ) AS p
    GROUP BY p.row_group_id
),

genes AS (
    SELECT c.run_id, c.gene_id, c.n, sum(c.n) OVER (ORDER BY c.run_id, c.gene_id) AS until
    FROM (
        SELECT a.run_id, a.gene_id, count(*) AS n FROM sigdb_data.attributions AS a GROUP BY a.run_id, a.gene_id
    ) AS c
),

largest AS (SELECT greatest(max(r.n), 122880)::BIGINT AS n FROM row_groups AS r)

SELECT
    sum((
        SELECT count(*) FROM row_groups AS r
        WHERE g.run_id BETWEEN r.first_run AND r.last_run AND g.gene_id BETWEEN r.first_gene AND r.last_gene
    ))::BIGINT AS n_read,
    sum((g.until - 1) // l.n - (g.until - g.n) // l.n + 1)::BIGINT AS n_ideal
FROM genes AS g CROSS JOIN largest AS l;
