-- measured_factors(genes, weights, agg, run, signatures, measured_only) -> TABLE (_signature, _cell, _factor)
-- Internal: the factor that turns the score of a cell into the mean over the genes that its study measured; NULL if it
-- measured none. No rows unless measured_only is true and agg is 'mean', so that the planner can drop the join.
-- Units:   none.
-- Example: SELECT count(*) FROM sigdb_data.measured_factors(['CD3E'], NULL, 'mean', NULL, NULL, true);  --> 3

CREATE OR REPLACE MACRO sigdb_data.measured_factors(genes, weights, agg, run, signatures, measured_only) AS TABLE
SELECT k._signature, c.cell_id AS _cell, k._factor
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS q ON c.sample_id = q.sample_id
JOIN sigdb_data.study_coverage(genes, weights, run, signatures) AS k ON q.study_id = k._study
WHERE measured_only AND agg = 'mean';
