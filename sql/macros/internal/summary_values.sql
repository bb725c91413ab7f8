-- summary_values(genes, weights, agg, run, signed) -> TABLE (_sample, _cell_type, _gene, _value)
-- Internal: all terms of a score from the cube, for the sums over the cells of groups. Branches as in signature_values.
-- Units:   weighted attribution, summed over the cells of a group.
-- Example: SELECT sum(_value) FROM sigdb_data.summary_values(['CD3E'], NULL, 'sum', NULL, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.summary_values(genes, weights, agg, run, signed) AS TABLE
SELECT u._sample, u._cell_type, u._gene, u._value
FROM (
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 0, 0) AS b
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 1, 1) AS b
    WHERE sigdb_data.branch_needed(1, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 2, 2) AS b
    WHERE sigdb_data.branch_needed(2, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 3, 3) AS b
    WHERE sigdb_data.branch_needed(3, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 4, 4) AS b
    WHERE sigdb_data.branch_needed(4, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 5, 5) AS b
    WHERE sigdb_data.branch_needed(5, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 6, 6) AS b
    WHERE sigdb_data.branch_needed(6, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 7, 7) AS b
    WHERE sigdb_data.branch_needed(7, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 8, 8) AS b
    WHERE sigdb_data.branch_needed(8, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 9, 9) AS b
    WHERE sigdb_data.branch_needed(9, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 10, 10) AS b
    WHERE sigdb_data.branch_needed(10, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 11, 11) AS b
    WHERE sigdb_data.branch_needed(11, genes, NULL)
    UNION ALL
    SELECT b._sample, b._cell_type, b._gene, b._value
    FROM sigdb_data.summary_branch(genes, weights, agg, run, signed, 12, 4294967295) AS b
    WHERE sigdb_data.branch_needed(12, genes, NULL)
) AS u;
