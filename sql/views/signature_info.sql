-- signature_info -> VIEW
-- One row a signature of the library: where it comes from, what it is.
-- Example: SELECT source FROM signature_info WHERE signature = 'MYELOID';  --> by hand

CREATE OR REPLACE VIEW signature_info AS
FROM sigdb_data.signature_info;
