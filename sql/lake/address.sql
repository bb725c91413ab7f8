-- name: text
-- The text of the file at $address.
SELECT t.content FROM read_text($address) AS t;

-- name: sizes
-- The sizes of the files at $addresses, without reading the files.
SELECT b.filename, b.size FROM read_blob($addresses) AS b;

-- name: checksum
-- SHA-256 of the file at $address.
SELECT sha256(b.content) FROM read_blob($address) AS b;
