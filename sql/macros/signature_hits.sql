-- signature_hits(genes, percentile := 95, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false, cutoff := NULL, sd := NULL, below := false)
--   -> TABLE (cell_id, score, is_hit)
-- The cells of a population whose score is above a percentile of that population's scores. `cells` names a view or table
-- with a column cell_id, which is the population (all cells of the run by default): CREATE TEMP VIEW t AS FROM cells
-- WHERE ..., then cells := 't'.
-- percentile: from 0 to 100, interpolated as numpy.percentile does; a hit is strictly above it.
-- cutoff:  a score, instead of the percentile.  sd: mean + sd standard deviations (of a sample) instead.
-- below:   a hit is strictly below the cut-off.
-- Units:   attribution, 1000 a cell in all. A cell that the run has not attributed has neither score nor part in it.
-- Errors:  those of signature_score; percentile not from 0 to 100; cutoff or sd not finite, or both given; a population
--          without scored cells; no such view.
-- Example: SELECT cell_id FROM signature_hits(['S100A8'], percentile := 50) WHERE is_hit;  --> 0

CREATE OR REPLACE MACRO signature_hits(
    genes, percentile := 95, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error',
    run := NULL, signed := false, measured_only := false, cutoff := NULL, sd := NULL, below := false
) AS TABLE
SELECT h._cell AS cell_id, h._score AS score, h._hit AS is_hit
FROM sigdb_data.population_hits(
    genes, percentile, cutoff, sd, below, cells, weights, agg, missing, run, signed, measured_only
) AS h;
