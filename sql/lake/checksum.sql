-- checksum: SHA-256 of the file at $place.
SELECT sha256(b.content) FROM read_blob($place) AS b;
