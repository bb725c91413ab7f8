-- record_versions: which sigdb and DuckDB made the file as it is now, and when it was first made.
INSERT INTO sigdb_data.atlas_info (key, value)
VALUES
    ('schema_version', $schema_version),
    ('sigdb_version', $sigdb_version),
    ('duckdb_version', $duckdb_version),
    ('created', $now)
ON CONFLICT (key) DO UPDATE SET value = CASE WHEN key = 'created' THEN value ELSE excluded.value END;
