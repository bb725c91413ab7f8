-- The views of the atlas. They are shown as tables: clients that only read see no difference, and `\dt` lists tables.
SELECT
    (16384 + hash(schema_name, view_name) % 2000000000)::BIGINT AS oid,
    view_name AS relname,
    CASE schema_name WHEN 'main' THEN 2200 ELSE 16384 + hash(schema_name) % 2000000000 END::BIGINT AS relnamespace,
    'r' AS relkind,
    'p' AS relpersistence,
    10 AS relowner,
    column_count AS relnatts,
    -1 AS reltuples,
    0 AS relpages,
    0 AS relam,
    0 AS reloftype,
    0 AS reltablespace,
    0 AS reltoastrelid,
    0 AS relchecks,
    'd' AS relreplident,
    false AS relhasindex,
    false AS relhasrules,
    false AS relhassubclass,
    false AS relhastriggers,
    false AS relispartition,
    false AS relrowsecurity,
    false AS relforcerowsecurity,
    NULL::VARCHAR[] AS reloptions
FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal AND schema_name <> 'sigdb_data'
