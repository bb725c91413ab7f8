-- signature_score(cell_id, genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false)
--   -> DOUBLE
-- The importance of a gene signature in one cell: the mean (or sum) of weight x |attribution| over its genes.
-- genes:   symbols, previous symbols, aliases or Ensembl ids, in any case. A gene that is given twice counts once.
-- weights: one per gene, in the order of `genes`. A mean divides by the sum of their absolute values.
-- agg:     'mean' or 'sum'.  missing: 'error', or 'ignore' to leave unknown genes out of the sum and of the mean.
-- run:     the name or id of an attribution run. NULL stands for the default run of the atlas.
-- signed:  keep the sign of the attributions. An error if the scores of the run have no signs (attribution_runs.is_signed).
-- measured_only: divide by the genes that the cell's study measured; NULL if it measured none.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. A gene without a row in a cell counts as 0.
--          The score is NULL for a cell that the run has not attributed.
-- Where:   anywhere an expression is allowed. DuckDB 2.0 takes a score for volatile, because it can raise an error. There,
--          it cannot be in the ORDER BY of a window or be used in WHERE by its alias: name it in a sub-query first.
--          A list of genes that differs from row to row takes about 40 ms for each cell and list on DuckDB 2.0: use
--          the table form there, lateral.
-- Errors:  a gene that is not known, unless missing := 'ignore'; an empty list; a NULL gene; weights of another length, NULL
--          or not finite; an unknown agg, missing or run.
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
