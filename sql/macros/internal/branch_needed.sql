-- branch_needed(n, genes, signatures) -> BOOLEAN
-- Internal: whether branch number n of signature_values can hold a gene of a list, or of library signatures, whose sizes
-- are not known before. None is needed past the last gene id there can be.
-- Units:   none.
-- Example: SELECT sigdb_data.branch_needed(1, ['CD3E'], NULL);  --> false

CREATE OR REPLACE MACRO sigdb_data.branch_needed(n, genes, signatures) AS
    n * sigdb_data.branch_size() < 4294967296
    AND (signatures IS NOT NULL OR array_length(genes) > n * sigdb_data.branch_size());
