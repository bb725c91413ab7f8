-- name: create_notes
-- A table of notes in the new file: the state of the atlas that is copied (one row), and the finished ranges of genes.
CREATE TABLE sigdb_new.sigdb_optimize (state VARCHAR, run_id UINTEGER, last_gene UINTEGER);

-- name: copy_schema
-- Copy all definitions into the new file, without rows. sigdb/atlas/optimize.py puts in the quoted name of the atlas.
COPY FROM DATABASE current_atlas TO sigdb_new (SCHEMA);

-- name: drop_notes
-- Remove the notes from the finished file.
DROP TABLE sigdb_new.sigdb_optimize;

-- name: note_state
-- Record the state of the atlas that is copied.
INSERT INTO sigdb_new.sigdb_optimize (state) VALUES ($state);

-- name: noted_state
-- The recorded state of the atlas that is copied.
SELECT o.state FROM sigdb_new.sigdb_optimize AS o WHERE o.state IS NOT NULL;

-- name: note_range
-- Record that the genes of a run up to $last_gene are copied.
INSERT INTO sigdb_new.sigdb_optimize (run_id, last_gene) VALUES ($run_id, $last_gene);

-- name: noted_ranges
-- The finished ranges of genes: the run and the last gene of each.
SELECT o.run_id, o.last_gene FROM sigdb_new.sigdb_optimize AS o WHERE o.state IS NULL;

-- name: new_tables
-- The tables of the new file.
SELECT t.table_name FROM duckdb_tables() AS t WHERE t.database_name = 'sigdb_new';

-- name: score_count
-- How many attributions the atlas has.
SELECT count(*) FROM sigdb_data.attributions;

-- name: runs_of_small_scores
-- The runs whose absolute scores add up to less than 1000 per cell, and what they add up to.
SELECT r.run, r.target_sum FROM sigdb_data.attribution_runs AS r WHERE r.target_sum < 1000 ORDER BY r.run_id ASC;

-- name: copy_attributions
-- Copy the attributions of a range of genes in order, rounded to $decimals unless NULL. A score that would become 0 is
-- not rounded, because 0 is never stored.
INSERT INTO sigdb_new.sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT
    a.run_id, a.gene_id, a.cell_id,
    CASE
        WHEN $decimals IS NULL OR round(a.score::DOUBLE, $decimals::INTEGER) = 0 THEN a.score
        ELSE round(a.score::DOUBLE, $decimals::INTEGER)
    END
FROM sigdb_data.attributions AS a
WHERE a.run_id = $run_id AND a.gene_id BETWEEN $first AND $last
ORDER BY a.gene_id ASC, a.cell_id ASC;

-- name: fragmentation
-- The number of row groups that queries of each single gene and run read in total, and that number if the attributions
-- were sorted. DuckDB skips a row group whose ranges do not include the run and the gene. A row group has up to 122,880
-- rows, in an optimized atlas twice as many. The calculation takes all row groups to be as large as the largest.
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
    SELECT c.run_id, c.gene_id, c.n, sum(c.n) OVER (ORDER BY c.run_id ASC, c.gene_id ASC) AS until
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

-- name: gene_batches
-- Ranges of genes of a run with about $batch attributions each, in order.
SELECT b.run_id, min(b.gene_id), max(b.gene_id), sum(b.n)::UBIGINT
FROM (
    SELECT c.run_id, c.gene_id, c.n, (sum(c.n) OVER (PARTITION BY c.run_id ORDER BY c.gene_id ASC) - c.n) // $batch AS batch
    FROM (
        SELECT a.run_id, a.gene_id, count(*) AS n FROM sigdb_data.attributions AS a GROUP BY a.run_id, a.gene_id
    ) AS c
) AS b
GROUP BY b.run_id, b.batch
ORDER BY b.run_id ASC, min(b.gene_id) ASC;

-- name: atlas_state
-- A value that changes with every change to the attributions and to the tables, views, macros and indexes of the file.
SELECT
    (SELECT count(*) FROM sigdb_data.attributions) AS n_scores,
    (SELECT count(*) FROM sigdb_data.attributed_cells) AS n_cells,
    (SELECT count(*) FROM sigdb_data.ingest_chunks) AS n_chunks,
    (SELECT coalesce(max(k.written)::VARCHAR, '') FROM sigdb_data.ingest_chunks AS k) AS written,
    (
        SELECT md5(string_agg(o.made::VARCHAR, chr(10) ORDER BY o.made::VARCHAR ASC))
        FROM (
            SELECT [c.schema_name, c.table_name, c.column_name, c.data_type, c.comment] AS made
            FROM duckdb_columns() AS c WHERE c.database_name = current_database()
            UNION ALL
            SELECT [t.schema_name, t.sql, t.comment] FROM duckdb_tables() AS t WHERE t.database_name = current_database()
            UNION ALL
            SELECT [v.schema_name, v.sql, v.comment]
            FROM duckdb_views() AS v WHERE v.database_name = current_database() AND NOT v.internal
            UNION ALL
            SELECT [f.schema_name, f.function_name, f.parameters::VARCHAR, f.macro_definition, f.comment]
            FROM duckdb_functions() AS f WHERE f.database_name = current_database() AND NOT f.internal
            UNION ALL
            SELECT [i.schema_name, i.sql] FROM duckdb_indexes() AS i WHERE i.database_name = current_database()
            UNION ALL
            SELECT [s.schema_name, s.sql] FROM duckdb_sequences() AS s WHERE s.database_name = current_database()
        ) AS o
    ) AS made_of;
