-- population_scores(genes, cells, weights, agg, missing, run, signed, measured_only) -> TABLE (_cell, _score)
-- Internal: the scores of a population, as in scored_cells. The condition on the name is constant, so the planner makes a semi
-- join of it, or a join with no rows if the population is all cells: a semi join with all cells would cost a fifth of the query.
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for signature_check; no view or table of this name.
-- Example: SELECT max(_score) FROM sigdb_data.population_scores(['CD3E'], 'cells', NULL, 'sum', 'error', NULL, false, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.population_scores(
    genes, cells, weights, agg, missing, run, signed, measured_only
) AS TABLE
SELECT s._cell, s._score
FROM sigdb_data.scored_cells(genes, weights, agg, missing, run, signed, measured_only) AS s
WHERE cells = 'sigdb_data.cell_data'
    OR s._cell IN (
        SELECT c._cell
        FROM (SELECT cell_id AS _cell FROM query_table(cells)) AS c
        WHERE cells <> 'sigdb_data.cell_data'
    );
