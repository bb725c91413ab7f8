-- atlas_info -> VIEW
-- Facts about this file, such as schema_version, sigdb_version and default_run.
-- Example: SELECT value FROM atlas_info WHERE key = 'default_run';  --> toy-model-ig

CREATE OR REPLACE VIEW atlas_info AS
FROM sigdb_data.atlas_info;
