-- name: ids
-- The ids of the atlas in the current database: one, unless the file was made by an older sigdb or by somebody else.
SELECT q.sequence_name
FROM system.main.duckdb_sequences() AS q
WHERE q.database_name = system.main.current_database() AND q.schema_name = 'sigdb_data'
ORDER BY q.sequence_name ASC;

-- name: create
-- Give the atlas an id. sigdb/atlas/identity.py puts the id in the place of `atlas_id`. Macros look for names in the
-- database that the caller uses, so a macro of another atlas does not find the macros of this one. A sequence of this
-- name tells whether another attached database is a copy: sequences are listed without reading anything.
CREATE SEQUENCE sigdb_data.atlas_id;
CREATE MACRO sigdb_data.use_the_atlas_before_its_macros_atlas_id() AS true;
COMMENT ON MACRO sigdb_data.use_the_atlas_before_its_macros_atlas_id IS
    'Internal: exists in this atlas only. USE an atlas before you call its macros.';
CREATE MACRO sigdb_data.is_attached_once_atlas_id() AS CASE
    WHEN (
        SELECT system.main.count(*)
        FROM system.main.duckdb_sequences() AS q
        WHERE q.sequence_name = 'atlas_id'
    ) = 1 THEN true
    ELSE system.main.error(
        'Two of the attached databases are copies of one atlas. DuckDB cannot tell whose macro this is. DETACH one of them.'
    )
END;
COMMENT ON MACRO sigdb_data.is_attached_once_atlas_id IS 'Internal: true unless a copy of this atlas is attached too.';

-- name: drop
-- Take the id `atlas_id` away again.
DROP SEQUENCE sigdb_data.atlas_id;
DROP MACRO IF EXISTS sigdb_data.use_the_atlas_before_its_macros_atlas_id;
DROP MACRO IF EXISTS sigdb_data.is_attached_once_atlas_id;
