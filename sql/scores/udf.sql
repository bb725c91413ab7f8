-- name: signature_names
-- The signatures of the library.
SELECT i.signature FROM sigdb_data.signature_info AS i ORDER BY i.signature;
