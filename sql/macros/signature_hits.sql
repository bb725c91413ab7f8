-- signature_hits(genes, percentile := 95, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false, cutoff := NULL, sd := NULL, below := false)
--   -> TABLE (cell_id, score, is_hit)
-- The cells of a population whose score is above a percentile of the population's scores. `cells` names a view or table
-- with a column cell_id, which is the population. By default it is all cells of the run. To make one: CREATE TEMP VIEW t AS
-- FROM cells WHERE ..., then cells := 't'.
-- percentile: from 0 to 100, interpolated as by numpy.percentile. A hit is strictly above it.
-- cutoff:  a score as the cut-off, instead of the percentile.
-- sd:      the mean plus sd standard deviations (of a sample) as the cut-off, instead of the percentile.
-- below:   a hit is strictly below the cut-off.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. A cell that the run has not attributed has
--          no score, and does not count.
-- Errors:  as for signature_score; percentile not from 0 to 100; cutoff or sd not finite, or both given; a population
--          without scored cells; no view or table of this name.
-- Example: SELECT cell_id FROM signature_hits(['S100A8'], percentile := 50) WHERE is_hit;  --> 0

CREATE OR REPLACE MACRO signature_hits(
    genes, percentile := 95, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error',
    run := NULL, signed := false, measured_only := false, cutoff := NULL, sd := NULL, below := false
) AS TABLE
SELECT h._cell AS cell_id, h._score AS score, h._hit AS is_hit
FROM sigdb_data.population_hits(
    genes, percentile, cutoff, sd, below, cells, weights, agg, missing, run, signed, measured_only
) AS h;
