-- signature_library -> VIEW
-- One row per signature of the library: its source, its number of genes, and whether it has weights.
-- Columns:
--   source: Source of the signature, such as a file name.
--   description: Description of the signature by its source.
--   n_genes: Number of genes of the signature, as its source names them.
--   is_weighted: Whether any weight differs from 1.
-- Example: SELECT n_genes FROM signature_library WHERE signature = 'MYELOID';  --> 2

CREATE OR REPLACE VIEW signature_library AS
SELECT i.signature, i.source, i.description, g.n_genes, g.is_weighted
FROM sigdb_data.signature_info AS i
JOIN (
    SELECT q.signature, count(*) AS n_genes, min(q.weight) <> 1 OR max(q.weight) <> 1 AS is_weighted
    FROM sigdb_data.signatures AS q
    GROUP BY q.signature
) AS g ON i.signature = g.signature;
