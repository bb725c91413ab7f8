-- genes -> VIEW
-- One row per gene that is an input of a model of the atlas.
-- Example: SELECT ensembl_id FROM genes WHERE symbol = 'CD3E';  --> ENSG00000198851

CREATE OR REPLACE VIEW genes AS
FROM sigdb_data.genes;
