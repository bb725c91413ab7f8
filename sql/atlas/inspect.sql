-- name: tables
-- The base tables of an atlas. In a file that shows a lake, the views over the files of the lake take their place.
SELECT t.table_name
FROM information_schema.tables AS t
WHERE t.table_catalog = current_database() AND t.table_schema = 'sigdb_data'
ORDER BY t.table_name ASC;

-- name: schema
-- The parts of an atlas: columns of tables, views and macros, each with its comment and its definition.
SELECT 'column' AS kind, c.table_name || '.' || c.column_name AS name, c.comment, c.data_type AS definition
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = 'sigdb_data'
UNION ALL
SELECT 'view', v.view_name, v.comment, v.sql
FROM duckdb_views() AS v
WHERE v.database_name = current_database() AND v.schema_name = 'main' AND NOT v.internal
UNION ALL
SELECT
    'macro', f.schema_name || '.' || f.function_name || '(' || coalesce(array_to_string(f.parameters, ', '), '') || ')',
    f.comment,
    f.macro_definition
FROM duckdb_functions() AS f
WHERE f.database_name = current_database() AND f.function_type IN ('macro', 'table_macro') AND NOT f.internal
ORDER BY ALL ASC;

-- name: view_columns
-- The columns of $views, each with the comment of the base column of the same name. The base table with the name of the
-- view comes first. Otherwise all base columns of this name must have the same comment; else the comment is NULL.
SELECT v.table_name, v.column_name, coalesce(
    any_value(t.comment) FILTER (t.table_name = v.table_name),
    CASE WHEN count(DISTINCT t.comment) = 1 THEN any_value(t.comment) END
)
FROM duckdb_columns() AS v
LEFT JOIN duckdb_columns() AS t
    ON v.column_name = t.column_name AND v.database_name = t.database_name AND t.schema_name = 'sigdb_data'
WHERE v.database_name = current_database() AND v.schema_name = 'main' AND list_contains($views, v.table_name)
GROUP BY v.table_name, v.column_name;

-- name: obs_columns
-- The columns of cell_data that came with the obs of studies and have no comment yet. In a table of more than 200 columns
-- they get none: each comment takes DuckDB as long as the table is wide, so they would take minutes.
SELECT c.column_name
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = 'sigdb_data' AND c.table_name = 'cell_data'
    AND c.comment IS NULL
    AND (
        SELECT count(*) FROM duckdb_columns() AS w
        WHERE w.database_name = current_database() AND w.schema_name = 'sigdb_data' AND w.table_name = 'cell_data'
    ) <= 200;

-- name: shows_lake
-- The tables of the current database that are views over the files of a lake. An atlas file has no such views. The
-- names of the functions are full, so that no macro of the file takes their place.
SELECT v.view_name
FROM system.main.duckdb_views() AS v
WHERE v.database_name = system.main.current_database() AND v.schema_name = 'sigdb_data'
ORDER BY v.view_name ASC;

-- name: functions
-- The names of DuckDB's functions that are in system.main.
SELECT DISTINCT f.function_name
FROM system.main.duckdb_functions() AS f
WHERE f.internal AND f.database_name = 'system' AND f.schema_name = 'main';

-- name: captured_functions
-- The names of DuckDB's functions that a macro has too, in lower case. Such a macro takes the place of the function in
-- every query that does not give the full name of the function, as this one does.
SELECT system.main.lower(f.function_name) AS name
FROM system.main.duckdb_functions() AS f
GROUP BY name
HAVING system.main.bool_or(f.internal) AND NOT system.main.bool_and(f.internal)
ORDER BY name ASC;

-- name: all_tables
-- All tables of the file, also tables that are not part of sigdb, and the views over the files of a lake.
SELECT t.table_name, t.schema_name, t.database_name
FROM system.main.duckdb_tables() AS t
WHERE t.database_name = system.main.current_database()
UNION ALL
SELECT v.view_name, v.schema_name, v.database_name
FROM system.main.duckdb_views() AS v
WHERE v.database_name = system.main.current_database() AND v.schema_name = 'sigdb_data'
ORDER BY ALL ASC;

-- name: other_tables
-- All tables of the file except the attributions, including tables that are not part of sigdb. A table with a foreign
-- key comes after the table that the key refers to.
WITH RECURSIVE found AS (
    SELECT t.database_name, t.schema_name, t.table_name, 0 AS depth
    FROM duckdb_tables() AS t
    WHERE t.database_name = current_database() AND (t.schema_name, t.table_name) <> ('sigdb_data', 'attributions')
    UNION
    SELECT c.database_name, c.schema_name, c.table_name, f.depth + 1
    FROM duckdb_constraints() AS c
    JOIN found AS f
        ON c.database_name = f.database_name AND c.schema_name = f.schema_name AND c.referenced_table = f.table_name
    WHERE c.constraint_type = 'FOREIGN KEY' AND c.table_name <> f.table_name
)
SELECT f.database_name, f.schema_name, f.table_name
FROM found AS f
GROUP BY f.database_name, f.schema_name, f.table_name
ORDER BY max(f.depth) ASC, f.schema_name ASC, f.table_name ASC;

-- name: gene_ranges
-- Ranges of gene ids with about $batch attributions each, in order. Together they cover all possible ids. An attribution
-- with a NULL gene is in no range; sql/checks/orphans.sql finds it.
SELECT coalesce(lag(max(b.gene_id)) OVER (ORDER BY b.batch ASC) + 1, 0) AS first, max(b.gene_id) AS last
FROM (
    SELECT c.gene_id, (sum(c.n) OVER (ORDER BY c.gene_id ASC) - c.n) // $batch AS batch
    FROM (
        SELECT a.gene_id, count(*) AS n FROM sigdb_data.attributions AS a GROUP BY a.gene_id
        UNION ALL
        SELECT 4294967295, 0
    ) AS c
) AS b
GROUP BY b.batch
ORDER BY b.batch ASC;

-- name: current_database
-- The name of the current database.
SELECT current_database();

-- name: connection_count
-- How many connections this process has to the database.
FROM duckdb_connection_count();

-- name: array_size
-- The largest cell_id (0 without cells), the number of cells, and DuckDB's threads and memory limit.
SELECT
    coalesce(max(c.cell_id), 0)::BIGINT, count(*), current_setting('threads')::BIGINT, current_setting('memory_limit')
FROM sigdb_data.cell_data AS c;

-- name: is_locked
-- Whether the settings of this database are locked.
SELECT system.main.current_setting('lock_configuration');

-- name: current_file
-- The file of the current database, and whether it is open read-only.
SELECT d.path, d.readonly FROM duckdb_databases() AS d WHERE d.database_name = current_database();

-- name: atlases
-- The attached databases that are atlases, and whether each is the current one.
SELECT s.database_name, s.database_name = current_database()
FROM duckdb_schemas() AS s
WHERE s.schema_name = 'sigdb_data'
ORDER BY s.database_name ASC;

-- name: threads
-- The number of threads that DuckDB uses.
SELECT current_setting('threads');
