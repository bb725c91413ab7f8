-- The types in which the Postgres door sends values, and lists of them. `formatted` is the name that format_type gives.
SELECT
    CASE WHEN list.is_list THEN t.list_oid ELSE t.oid END::BIGINT AS oid,
    CASE WHEN list.is_list THEN '_' ELSE '' END || t.typname AS typname,
    t.formatted || CASE WHEN list.is_list THEN '[]' ELSE '' END AS formatted,
    CASE WHEN list.is_list THEN 'A' ELSE t.typcategory END AS typcategory,
    CASE WHEN list.is_list THEN t.oid ELSE 0 END::BIGINT AS typelem,
    CASE WHEN list.is_list THEN 0 ELSE t.list_oid END::BIGINT AS typarray,
    CASE WHEN list.is_list THEN -1 ELSE t.typlen END AS typlen,
    11 AS typnamespace,
    10 AS typowner,
    'b' AS typtype,
    ',' AS typdelim,
    0 AS typrelid,
    0 AS typbasetype,
    0 AS typcollation,
    -1 AS typtypmod,
    false AS typnotnull
FROM (
    VALUES
    (16, 'bool', 'boolean', 'B', 1, 1000),
    (17, 'bytea', 'bytea', 'U', -1, 1001),
    (20, 'int8', 'bigint', 'N', 8, 1016),
    (21, 'int2', 'smallint', 'N', 2, 1005),
    (23, 'int4', 'integer', 'N', 4, 1007),
    (25, 'text', 'text', 'S', -1, 1009),
    (114, 'json', 'json', 'U', -1, 199),
    (700, 'float4', 'real', 'N', 4, 1021),
    (701, 'float8', 'double precision', 'N', 8, 1022),
    (1043, 'varchar', 'character varying', 'S', -1, 1015),
    (1082, 'date', 'date', 'D', 4, 1182),
    (1083, 'time', 'time without time zone', 'D', 8, 1183),
    (1114, 'timestamp', 'timestamp without time zone', 'D', 8, 1115),
    (1184, 'timestamptz', 'timestamp with time zone', 'D', 8, 1185),
    (1700, 'numeric', 'numeric', 'N', -1, 1231)
) AS t (oid, typname, formatted, typcategory, typlen, list_oid),
    (VALUES (false), (true)) AS list (is_list)
