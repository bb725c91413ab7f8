-- name: record_versions
-- Which sigdb and DuckDB made the file as it is now, and when it was first made.
INSERT INTO sigdb_data.atlas_info (key, value)
VALUES
    ('schema_version', $schema_version),
    ('sigdb_version', $sigdb_version),
    ('duckdb_version', $duckdb_version),
    ('created', $now)
ON CONFLICT (key) DO UPDATE SET value = CASE WHEN key = 'created' THEN value ELSE excluded.value END;

-- name: add_signatures
-- Put the signatures of sigdb_incoming and sigdb_incoming_members into the library, in place of any of
-- the same names. (An update in place, since deleting and inserting one primary key in one transaction is refused.)
INSERT INTO sigdb_data.signature_info (signature, source, description)
SELECT i.signature, i.source, i.description FROM sigdb_incoming AS i
ON CONFLICT (signature) DO UPDATE SET source = excluded.source, description = excluded.description;

DELETE FROM sigdb_data.signatures WHERE signature IN (SELECT i.signature FROM sigdb_incoming AS i);

INSERT INTO sigdb_data.signatures (signature, position, gene, weight)
SELECT i.signature, i.position, i.gene, i.weight FROM sigdb_incoming_members AS i;
