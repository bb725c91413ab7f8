-- signature_score(cell_id, genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false)
--   -> DOUBLE
-- The importance of a gene signature in one cell: the mean (or sum) over its genes of |attribution|, each times its weight.
-- genes:   symbols, previous symbols, aliases or Ensembl ids, in any case; a gene asked twice counts once.
-- weights: one a gene, in the order of `genes`; the mean divides by the sum of their absolute values.
-- agg:     'mean' or 'sum'.  missing: 'error', or 'ignore' to leave unknown genes out of sum and mean alike.
-- run:     name or id of an attribution run, for another than the atlas's default.
-- signed:  keep the sign of the attributions; an error in a run whose scores have none (attribution_runs.is_signed).
-- measured_only: divide by the genes alone that the cell's study measured; NULL where it measured none.
-- Units:   attribution, 1000 a cell in all. A (gene, cell) pair with no row counts as 0; a cell that the run has not
--          attributed scores NULL.
-- Where:   anywhere an expression may stand. A score can raise, so DuckDB 2.0 takes it for volatile: there it cannot be in
--          the ORDER BY of a window, nor be used in WHERE by its alias; name it in a sub-query first.
-- Errors:  a gene that resolves to nothing, unless missing := 'ignore'; an empty list; a NULL gene; weights of another
--          length, NULL or not finite; an unknown agg, missing or run.
-- Example: SELECT signature_score(1, ['S100A8', 'CD3E']);  --> 4.5

CREATE OR REPLACE MACRO signature_score(
    cell_id, genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false,
    measured_only := false
) AS (
    SELECT sum(v._value)
    FROM sigdb_data.cell_values(genes, weights, agg, missing, run, signed) AS v
    WHERE v._cell = cell_id
) * CASE
    WHEN measured_only AND agg = 'mean' THEN (
        SELECT f._factor
        FROM sigdb_data.measured_factors(genes, weights, agg, run, NULL, measured_only) AS f
        WHERE f._cell = cell_id
    )
    ELSE 1
END;
