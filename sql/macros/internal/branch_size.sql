-- branch_size() -> UBIGINT
-- Internal: how many genes a branch of signature_values reads. A join skips row groups without its genes only if it has at
-- most dynamic_or_filter_threshold genes (50 by default). Each further branch costs a pipeline.
-- Units:   genes.
-- Example: SELECT sigdb_data.branch_size() >= 50;  --> true

CREATE OR REPLACE MACRO sigdb_data.branch_size() AS greatest(current_setting('dynamic_or_filter_threshold'), 1);
