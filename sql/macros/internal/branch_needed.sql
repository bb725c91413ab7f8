-- branch_needed(n, genes, signatures) -> BOOLEAN
-- Internal: whether branch number n of signature_values can have a gene of a list, or of library signatures, whose number
-- of genes is not known beforehand. A branch beyond the highest possible gene id is not needed.
-- Units:   none.
-- Example: SELECT sigdb_data.branch_needed(1, ['CD3E'], NULL);  --> false

CREATE OR REPLACE MACRO sigdb_data.branch_needed(n, genes, signatures) AS
    n * sigdb_data.branch_size() < 4294967296
    AND (signatures IS NOT NULL OR array_length(sigdb_data.as_list(genes)) > n * sigdb_data.branch_size());
