-- name: info
-- One fact about the file, such as its schema_version.
SELECT i.value FROM sigdb_data.atlas_info AS i WHERE i.key = $key;

-- name: record_decimals
-- Record that the scores are rounded to this many decimals.
INSERT OR REPLACE INTO sigdb_data.atlas_info (key, value) VALUES ('decimals', $decimals);

-- name: record_versions
-- Record which sigdb and DuckDB made the file as it is now, and when it was first made.
INSERT INTO sigdb_data.atlas_info (key, value)
VALUES
    ('schema_version', $schema_version),
    ('sigdb_version', $sigdb_version),
    ('duckdb_version', $duckdb_version),
    ('created', $now)
ON CONFLICT (key) DO UPDATE SET value = CASE WHEN key = 'created' THEN value ELSE excluded.value END;

-- name: add_signatures
-- Put the signatures of sigdb_incoming and sigdb_incoming_members into the library. They replace signatures of the same
-- names. (An update in place: DuckDB refuses to delete and insert one primary key in one transaction.)
INSERT INTO sigdb_data.signature_info (signature, source, description)
SELECT i.signature, i.source, i.description FROM sigdb_incoming AS i
ON CONFLICT (signature) DO UPDATE SET source = excluded.source, description = excluded.description;

DELETE FROM sigdb_data.signatures WHERE signature IN (SELECT i.signature FROM sigdb_incoming AS i);

INSERT INTO sigdb_data.signatures (signature, position, gene, weight)
SELECT i.signature, i.position, i.gene, i.weight FROM sigdb_incoming_members AS i;

-- name: library_names
-- The names of the signatures of the library.
SELECT i.signature FROM sigdb_data.signature_info AS i;
