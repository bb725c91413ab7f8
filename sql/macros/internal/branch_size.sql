-- branch_size() -> UBIGINT
-- Internal: how many genes one branch of signature_values reads. A join skips the row groups that hold none of its genes
-- only while it has at most dynamic_or_filter_threshold of them, 50 unless set; every further branch costs a pipeline.
-- Units:   genes.
-- Example: SELECT sigdb_data.branch_size() >= 50;  --> true

CREATE OR REPLACE MACRO sigdb_data.branch_size() AS greatest(current_setting('dynamic_or_filter_threshold'), 1);
