-- signature_library -> VIEW
-- One row a signature of the library: where it comes from, how many genes it has, and whether they are weighted.
-- Columns:
--   source: The file it was read from.
--   description: What its source says of it.
--   n_genes: Genes of the signature, as its source names them.
--   is_weighted: Whether a weight is other than 1.
-- Example: SELECT n_genes FROM signature_library WHERE signature = 'MYELOID';  --> 2

CREATE OR REPLACE VIEW signature_library AS
SELECT i.signature, i.source, i.description, g.n_genes, g.is_weighted
FROM sigdb_data.signature_info AS i
JOIN (
    SELECT q.signature, count(*) AS n_genes, min(q.weight) <> 1 OR max(q.weight) <> 1 AS is_weighted
    FROM sigdb_data.signatures AS q
    GROUP BY q.signature
) AS g ON i.signature = g.signature;
