-- signature_values(genes, weights, agg, run, signed, signatures) -> TABLE (_signature, _cell, _value)
-- Internal: all stored terms of a score; their sum by (_signature, _cell) is the score. Twelve branches of 50 genes,
-- each of which reads only the row groups that hold its genes (see signature_terms), and one for all genes beyond 600,
-- which reads everything. An empty branch costs nothing.
-- Units:   weighted attribution.
-- Example: SELECT sum(_value) FROM sigdb_data.signature_values(['CD3E'], NULL, 'sum', NULL, false, NULL);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.signature_values(genes, weights, agg, run, signed, signatures) AS TABLE
SELECT u._signature, u._cell, u._value
FROM (
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 0, 0) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 1, 1) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 2, 2) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 3, 3) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 4, 4) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 5, 5) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 6, 6) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 7, 7) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 8, 8) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 9, 9) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 10, 10) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 11, 11) AS b
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 12, 65535) AS b
) AS u;
