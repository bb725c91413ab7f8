-- sample_hit_rates(genes, percentile := NULL, min_cells := 50, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false, min_coverage := 0, cutoff := NULL, sd := NULL, below := false, against := 'controls')
--   -> TABLE (study, sample, donor, tissue, disease, n_cells, n_hits, hit_rate, mean_z, n_genes, n_measured, median_counts, median_detected, cutoff)
-- The part of each sample's cells that are hits (see signature_hits). Samples with fewer than min_cells scored cells in the
-- population are left out. Figure 4 of Gold et al. shows such rates, with against := 'cells'. The default of min_cells is that
-- of their package; their tutorial uses 90.
-- mean_z:  the mean z of the cells.  cutoff: the mean cut-off of the cells.
-- n_hits, hit_rate: NULL if the study measured none of the genes.
-- median_counts, median_detected: counts and detected genes of the sample's cells. Compare these before comparing samples.
-- Units:   hit_rate: part of 1. cutoff: attribution. n_genes, n_measured, min_coverage: as for signature_by_sample.
-- Errors:  as for signature_hits; min_coverage not from 0 to 1.
-- Example: SELECT n_hits FROM sample_hit_rates(['S100A8'], percentile := 50, min_cells := 1, against := 'cells');  --> 1

CREATE OR REPLACE MACRO sample_hit_rates(
    genes, percentile := NULL, min_cells := 50, cells := 'sigdb_data.cell_data', weights := NULL, agg := 'mean',
    missing := 'error', run := NULL, signed := false, measured_only := false, min_coverage := 0,
    cutoff := NULL, sd := NULL, below := false, against := 'controls'
) AS TABLE
SELECT
    s._study AS study, s._name AS sample, s._donor AS donor, s._tissue AS tissue, s._disease AS disease,
    r._n_cells AS n_cells, r._n_hits AS n_hits, r._n_hits::DOUBLE / nullif(r._n_cells, 0) AS hit_rate, r._z AS mean_z,
    k._n_genes AS n_genes, k._n_measured AS n_measured, r._counts AS median_counts, r._detected AS median_detected,
    r._cutoff AS cutoff
FROM (
    SELECT
        c._sample, count(h._score) AS _n_cells, avg(h._z) AS _z, avg(h._cutoff) AS _cutoff,
        CASE WHEN count(h._cutoff) > 0 THEN count(*) FILTER (WHERE h._hit) END AS _n_hits,
        median(c._counts) AS _counts, median(c._detected) AS _detected
    FROM sigdb_data.population_hits(
        genes, percentile, cutoff, sd, below, against, cells, weights, agg, missing, run, signed, measured_only
    ) AS h
    JOIN (
        SELECT q.cell_id AS _cell, q.sample_id AS _sample, q.n_counts AS _counts, q.n_genes AS _detected
        FROM sigdb_data.cell_data AS q
    ) AS c ON h._cell = c._cell
    GROUP BY c._sample
) AS r
JOIN sigdb_data.sample_labels() AS s ON r._sample = s._sample
JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON s._study_id = k._study
WHERE r._n_cells >= min_cells
    AND k._n_measured::DOUBLE / k._n_genes >= coalesce(min_coverage, 0)::DOUBLE
    AND (SELECT e._error FROM sigdb_data.coverage_check(min_coverage) AS e) IS NULL;
