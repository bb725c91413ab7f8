-- signature_info -> VIEW
-- One row per signature of the library: its source and its description.
-- Example: SELECT source FROM signature_info WHERE signature = 'MYELOID';  --> by hand

CREATE OR REPLACE VIEW signature_info AS
FROM sigdb_data.signature_info;
