-- fragmentation: how many row groups queries of one gene of one run each have to read, all together; and how many if the
-- attributions were sorted. Row groups hold 122,880 rows; DuckDB skips one if its ranges lack the run or the gene.
SELECT
    sum((
        SELECT count(*)
        FROM (
            SELECT
                p.row_group_id,
                min(p.least) FILTER (p.column_name = 'run_id') AS first_run,
                max(p.most) FILTER (p.column_name = 'run_id') AS last_run,
                min(p.least) FILTER (p.column_name = 'gene_id') AS first_gene,
                max(p.most) FILTER (p.column_name = 'gene_id') AS last_gene
            FROM (
                SELECT
                    q.row_group_id, q.column_name,
                    regexp_extract(q.stats::VARCHAR, '(?i)min''?: (\d+)', 1)::INTEGER AS least,
                    regexp_extract(q.stats::VARCHAR, '(?i)max''?: (\d+)', 1)::INTEGER AS most
                FROM pragma_storage_info('sigdb_data.attributions') AS q
                WHERE q.column_name IN ('run_id', 'gene_id') AND q.segment_type <> 'VALIDITY'
            ) AS p
            GROUP BY p.row_group_id
        ) AS r
        WHERE g.run_id BETWEEN r.first_run AND r.last_run AND g.gene_id BETWEEN r.first_gene AND r.last_gene
    ))::BIGINT AS n_read,
    sum((g.until - 1) // 122880 - (g.until - g.n) // 122880 + 1)::BIGINT AS n_ideal
FROM (
    SELECT c.run_id, c.gene_id, c.n, sum(c.n) OVER (ORDER BY c.run_id, c.gene_id) AS until
    FROM (
        SELECT a.run_id, a.gene_id, count(*) AS n FROM sigdb_data.attributions AS a GROUP BY a.run_id, a.gene_id
    ) AS c
) AS g;
