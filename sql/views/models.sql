-- models -> VIEW
-- One row per model with attributions in the atlas: architecture, checkpoint, size.
-- Example: SELECT architecture FROM models;  --> mlp

CREATE OR REPLACE VIEW models AS
FROM sigdb_data.models;
