-- What functions of Postgres about the catalogue return, as scalar queries over its tables. Parameters are the arguments.
-- name: col_description
-- The comment of a column.
SELECT description FROM pg_description WHERE objoid = $1 AND objsubid = $2
-- name: obj_description
-- The comment of a table.
SELECT description FROM pg_description WHERE objoid = $1 AND objsubid = 0
-- name: format_type
-- The name of a type.
SELECT formatted FROM pg_type WHERE oid = $1
-- name: regclass
-- The number of a table, or of pg_class itself, by which comments of tables are found.
SELECT CASE split_part($1, '.', -1)
    WHEN 'pg_class' THEN 1259
    ELSE (SELECT oid FROM pg_class WHERE relname = split_part($1, '.', -1))
END
-- name: pg_table_is_visible
-- Whether a table can be named without its schema.
SELECT $1 IN (SELECT oid FROM pg_class WHERE relnamespace = 2200)
-- name: pg_type_is_visible
-- Whether a type can be named without its schema.
SELECT true
-- name: pg_function_is_visible
-- Whether a function can be named without its schema.
SELECT true
-- name: has_database_privilege
-- Everybody who was admitted may read the atlas.
SELECT true
-- name: has_schema_privilege
-- As above.
SELECT true
-- name: has_table_privilege
-- As above.
SELECT true
-- name: pg_get_userbyid
-- The name of an owner.
SELECT rolname FROM pg_roles WHERE oid = $1
-- name: pg_encoding_to_char
-- The encoding of every text.
SELECT 'UTF8'
-- name: set_config
-- The value of a setting of the client, which nothing here reads.
SELECT $2
-- name: to_regtype
-- The number of a type.
SELECT oid FROM pg_type WHERE typname = $1
