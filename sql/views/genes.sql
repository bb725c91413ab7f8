-- genes -> VIEW
-- One row a gene that some model of the atlas can attribute.
-- Example: SELECT ensembl_id FROM genes WHERE symbol = 'CD3E';  --> ENSG00000198851

CREATE OR REPLACE VIEW genes AS
FROM sigdb_data.genes;
