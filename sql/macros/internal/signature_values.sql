-- signature_values(genes, weights, agg, run, signed, signatures) -> TABLE (_signature, _cell, _value)
-- Internal: all stored terms of a score. Their sum by (_signature, _cell) is the score. There are twelve branches of
-- branch_size() genes, which read only the row groups with their genes, and one branch for all other genes, which reads
-- everything. If the list is a constant, the planner drops the branches beyond its end. Otherwise each branch costs a
-- pipeline in the aggregate, so there are only twelve.
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
    WHERE sigdb_data.branch_needed(1, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 2, 2) AS b
    WHERE sigdb_data.branch_needed(2, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 3, 3) AS b
    WHERE sigdb_data.branch_needed(3, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 4, 4) AS b
    WHERE sigdb_data.branch_needed(4, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 5, 5) AS b
    WHERE sigdb_data.branch_needed(5, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 6, 6) AS b
    WHERE sigdb_data.branch_needed(6, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 7, 7) AS b
    WHERE sigdb_data.branch_needed(7, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 8, 8) AS b
    WHERE sigdb_data.branch_needed(8, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 9, 9) AS b
    WHERE sigdb_data.branch_needed(9, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 10, 10) AS b
    WHERE sigdb_data.branch_needed(10, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 11, 11) AS b
    WHERE sigdb_data.branch_needed(11, genes, signatures)
    UNION ALL
    SELECT b._signature, b._cell, b._value
    FROM sigdb_data.signature_branch(genes, weights, agg, run, signed, signatures, 12, 4294967295) AS b
    WHERE sigdb_data.branch_needed(12, genes, signatures)
) AS u;
