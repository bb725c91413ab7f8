-- gene_aliases -> VIEW
-- Other names of a gene: approved and previous symbols, aliases and Ensembl ids; source says which. A name that several
-- genes have is marked by is_ambiguous and matches no gene.
-- Columns:
--   alias: Another name of the gene.
--   source: What the name is: approved, previous, alias or ensembl.
-- Example: SELECT alias FROM gene_aliases WHERE source = 'ensembl' AND gene_id = 2;  --> ENSG00000198851

CREATE OR REPLACE VIEW gene_aliases AS
SELECT n.name AS alias, n.gene_id, n.source, n.is_ambiguous
FROM sigdb_data.gene_names AS n
WHERE n.source NOT IN ('symbol', 'other');
