-- models -> VIEW
-- One row a model whose attributions the atlas holds: architecture, checkpoint, size.
-- Example: SELECT architecture FROM models;  --> mlp

CREATE OR REPLACE VIEW models AS
FROM sigdb_data.models;
