-- sample_hit_rates(genes, percentile := 95, min_cells := 50, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false, min_coverage := 0, cutoff := NULL, sd := NULL, below := false)
--   -> TABLE (study, sample, donor, tissue, disease, n_cells, n_hits, hit_rate, n_genes, n_measured, cutoff)
-- The part of each sample's cells that are hits (see signature_hits), as in figure 4 of Gold et al. Samples with fewer than
-- min_cells scored cells in the population are left out. The cut-off comes from the whole population, including them.
-- Units:   hit_rate: part of 1. cutoff: attribution. n_genes, n_measured, min_coverage: as for signature_by_sample.
-- Errors:  as for signature_hits; min_coverage not from 0 to 1.
-- Example: SELECT n_hits FROM sample_hit_rates(['S100A8'], percentile := 50, min_cells := 1);  --> 1

CREATE OR REPLACE MACRO sample_hit_rates(
    genes, percentile := 95, min_cells := 50, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean',
    missing := 'error', run := NULL, signed := false, measured_only := false, min_coverage := 0,
    cutoff := NULL, sd := NULL, below := false
) AS TABLE
SELECT
    s._study AS study, s._name AS sample, s._donor AS donor, s._tissue AS tissue, s._disease AS disease,
    r._n_cells AS n_cells, r._n_hits AS n_hits, r._n_hits / r._n_cells AS hit_rate,
    k._n_genes AS n_genes, k._n_measured AS n_measured, r._cutoff AS cutoff
FROM (
    SELECT
        c._sample, count(h._score) AS _n_cells, count(*) FILTER (WHERE h._hit) AS _n_hits,
        any_value(h._cutoff) AS _cutoff
    FROM sigdb_data.population_hits(
        genes, percentile, cutoff, sd, below, cells, weights, agg, missing, run, signed, measured_only
    ) AS h
    JOIN (SELECT q.cell_id AS _cell, q.sample_id AS _sample FROM sigdb_data.cell_data AS q) AS c ON h._cell = c._cell
    GROUP BY c._sample
) AS r
JOIN sigdb_data.sample_labels() AS s ON r._sample = s._sample
JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON s._study_id = k._study
WHERE r._n_cells >= min_cells
    AND k._n_measured >= coalesce(min_coverage, 0) * k._n_genes
    AND (SELECT e._error FROM sigdb_data.coverage_check(min_coverage) AS e) IS NULL;
