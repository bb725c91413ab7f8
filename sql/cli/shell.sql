-- name: names
-- What a query can name, and what each name is: a view, a column, a macro, a function or a keyword.
SELECT n.name, string_agg(DISTINCT n.kind, ', ' ORDER BY n.kind ASC) AS kind
FROM (
    SELECT v.view_name AS name, 'view' AS kind
    FROM duckdb_views() AS v
    WHERE NOT v.internal
    UNION ALL
    SELECT c.column_name AS name, 'column' AS kind
    FROM duckdb_columns() AS c
    WHERE NOT c.internal AND c.schema_name = 'main'
    UNION ALL
    SELECT f.function_name AS name, CASE WHEN f.internal THEN 'function' ELSE 'macro' END AS kind
    FROM duckdb_functions() AS f
    WHERE f.schema_name = 'main' AND regexp_full_match(f.function_name, '[a-z]\w*')
    UNION ALL
    SELECT k.keyword_name AS name, 'keyword' AS kind
    FROM duckdb_keywords() AS k
) AS n
GROUP BY n.name
ORDER BY n.name ASC;

-- name: values
-- What a text in a query can be, and what each is: a signature, a study, a cell type or a gene.
SELECT v.name, string_agg(DISTINCT v.kind, ', ' ORDER BY v.kind ASC) AS kind
FROM (
    SELECT i.signature AS name, 'signature' AS kind FROM sigdb_data.signature_info AS i
    UNION ALL
    SELECT s.study AS name, 'study' AS kind FROM sigdb_data.studies AS s
    UNION ALL
    SELECT t.cell_type AS name, 'cell type' AS kind FROM group_sizes AS t
    UNION ALL
    SELECT g.symbol AS name, 'gene' AS kind FROM sigdb_data.genes AS g
) AS v
WHERE v.name IS NOT NULL
GROUP BY v.name
ORDER BY v.name ASC;

-- name: views
-- The views of an atlas, with the second line of their comments, which says what they hold.
SELECT v.view_name AS "view", v.column_count AS columns, split_part(v.comment, chr(10), 2) AS "holds"
FROM duckdb_views() AS v
WHERE NOT v.internal AND v.schema_name = 'main'
ORDER BY v.view_name ASC;

-- name: macros
-- The macros of an atlas: how each is called, which is the first line of its comment, and what it gives.
SELECT split_part(f.comment, chr(10), 1) AS macro, split_part(f.comment, chr(10), 2) AS gives
FROM duckdb_functions() AS f
WHERE NOT f.internal AND f.schema_name = 'main' AND f.comment IS NOT NULL
ORDER BY f.function_name ASC, f.function_type ASC;
