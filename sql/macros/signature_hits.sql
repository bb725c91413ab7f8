-- signature_hits(genes, percentile := NULL, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false, cutoff := NULL, sd := NULL, below := false, against := 'controls')
--   -> TABLE (cell_id, score, z, is_hit)
-- Which cells of a population score higher than matched control genes do. Raw scores depend on how deeply a cell was
-- sequenced and on how many genes its study measured. z and is_hit depend on these far less: they compare each score with the
-- scores of 200 control sets in cells of the same study and about the same number of detected genes (see
-- signature_calibration).
-- against: 'controls', or 'cells' to compare with the scores of the population itself, as Gold et al. do. Of the paper's
--          hits, many are shallow cells or cells of small panels.
-- percentile: a hit is strictly above this percentile, from 0 to 100, of the scores of the control sets (default 99: of a
--          random signature, about 1 % of the cells are hits) or of the population (default 95). Interpolated as by numpy.
-- cutoff:  a score as the cut-off, instead of the percentile.
-- sd:      the mean plus sd standard deviations as the cut-off: a hit has a z above sd.
-- below:   a hit is strictly below the cut-off.
-- cells:   the name of a view or table with a column cell_id, which is the population. By default it is all cells of the run.
--          To make one: CREATE TEMP VIEW t AS FROM cells WHERE ..., then cells := 't'. With against := 'controls', what a hit
--          is does not depend on the population.
-- z:       (score - mean) / standard deviation of the scores that it is compared with. NULL if these do not vary.
-- is_hit:  with against := 'controls', NULL for the cells of a study that measured none of the genes, by any rule: not measured
--          is not zero.
-- Cost:    the control genes of a signature are up to 51 times as many as its genes. 1.1 s for 4 genes and 8 s for 86 genes in
--          an atlas of 150,000 cells, 108 million scores and 50 studies (with against := 'cells', 0.3 and 1.0 s), on 2 cores.
-- Units:   score: attribution. The absolute attributions of a cell add up to 1000. A cell that the run has not attributed has
--          no score, and does not count.
-- Errors:  as for signature_score; percentile not from 0 to 100; cutoff or sd not finite, or both given; a population
--          without scored cells; no view or table of this name; another value of against.
-- Example: SELECT cell_id FROM signature_hits(['S100A8'], percentile := 50, against := 'cells') WHERE is_hit;  --> 0

CREATE OR REPLACE MACRO signature_hits(
    genes, percentile := NULL, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error',
    run := NULL, signed := false, measured_only := false, cutoff := NULL, sd := NULL, below := false,
    against := 'controls'
) AS TABLE
SELECT h._cell AS cell_id, h._score AS score, h._z AS z, h._hit AS is_hit
FROM sigdb_data.population_hits(
    genes, percentile, cutoff, sd, below, against, cells, weights, agg, missing, run, signed, measured_only
) AS h;
