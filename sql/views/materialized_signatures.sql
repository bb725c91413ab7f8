-- materialized_signatures -> VIEW
-- One row per signature and run whose scores are kept in the file, for signature_scores to read.
-- Columns:
--   n_genes: Number of genes of the scores.
-- Example: SELECT count(*) FROM materialized_signatures;  --> 0

CREATE OR REPLACE VIEW materialized_signatures AS
SELECT m.signature, r.run, array_length(m.gene_ids) AS n_genes
FROM sigdb_data.materialized_signatures AS m
JOIN sigdb_data.attribution_runs AS r ON m.run_id = r.run_id;
