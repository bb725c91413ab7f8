-- population_hits(genes, percentile, cutoff, sd, below, against, cells, weights, agg, missing, run, signed, measured_only)
--   -> TABLE (_cell, _score, _z, _cutoff, _hit)
-- Internal: the scores of a population. Each row has its distance from the mean that it is compared with, in standard
-- deviations, its cut-off, and whether the score is beyond the cut-off (NULL if there is nothing to compare with). The default
-- percentile is 99 against controls, and 95 against cells. The check is a separate branch without rows: if the population is
-- empty, nothing else is evaluated.
-- Units:   _score, _cutoff: attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for population_check.
-- Example: SELECT max(_cutoff) FROM sigdb_data.population_hits(['CD3E'], 100, NULL, NULL, false, 'cells', 'cells', NULL, 'sum', 'error', NULL, false, false);  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.population_hits(
    genes, percentile, cutoff, sd, below, against, cells, weights, agg, missing, run, signed, measured_only
) AS TABLE
SELECT
    c._cell, c._score, c._z, c._cutoff, CASE WHEN below THEN c._score < c._cutoff ELSE c._score > c._cutoff END AS _hit
FROM (
    SELECT
        m._cell, m._score, (m._score - m._mean) / nullif(m._sd, 0) AS _z,
        CASE WHEN m._mean IS NOT NULL THEN coalesce(cutoff, m._mean + sd * m._sd, m._quantile) END::DOUBLE AS _cutoff
    FROM sigdb_data.population_moments(
        genes,
        CASE WHEN cutoff IS NULL AND sd IS NULL THEN coalesce(percentile, CASE WHEN against = 'cells' THEN 95 ELSE 99 END) END,
        against, cells, weights, agg, missing, run, signed, measured_only
    ) AS m
) AS c
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL
FROM sigdb_data.population_check(percentile, cutoff, sd, below, against, cells, run) AS e
WHERE e._error IS NOT NULL;
