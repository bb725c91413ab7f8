-- population_check(percentile, cutoff, sd, below, against, cells, run) -> TABLE (_error)
-- Internal: one row with NULL, or an error about the cut-off, the run or the population. Used like signature_check.
-- Units:   none.
-- Example: SELECT _error IS NULL FROM sigdb_data.population_check(95, NULL, NULL, false, 'cells', 'cells', NULL);  --> true

CREATE OR REPLACE MACRO sigdb_data.population_check(percentile, cutoff, sd, below, against, cells, run) AS TABLE
SELECT CASE
    WHEN coalesce(against, '') NOT IN ('controls', 'cells')
        THEN error('against must be ''controls'' or ''cells'', not ' || coalesce('''' || against || '''', 'NULL') || '.')
    WHEN percentile IS NOT NULL AND NOT percentile BETWEEN 0 AND 100
        THEN error('percentile must be from 0 to 100, not ' || percentile || '.')
    WHEN percentile > 0 AND percentile < 1 AND NOT below
        THEN error('percentile is from 0 to 100, so nearly every cell scores above ' || percentile || '. For the quantile '
            || percentile || ', use percentile := ' || percentile * 100 || '.')
    WHEN cutoff IS NOT NULL AND sd IS NOT NULL
        THEN error('Both cutoff and sd are given, but a hit has one cut-off: a score, or the mean plus sd standard deviations.')
    WHEN NOT isfinite(coalesce(cutoff, sd, 0)::DOUBLE)
        THEN error('cutoff and sd must be finite numbers, not ' || coalesce(cutoff, sd)::VARCHAR || '.')
    WHEN p._n = 0 THEN error('The population ' || cells || ' has no cells that this run has attributed.')
END AS _error
FROM (
    SELECT sum(c._n) AS _n
    FROM (
        SELECT count(*) AS _n FROM sigdb_data.run_cells(run) AS a WHERE cells = 'sigdb_data.cell_data'
        UNION ALL
        SELECT count(*)
        FROM (SELECT cell_id AS _cell FROM query_table(cells)) AS a
        WHERE cells <> 'sigdb_data.cell_data' AND a._cell IN (SELECT b._cell FROM sigdb_data.run_cells(run) AS b)
    ) AS c
) AS p
WHERE (SELECT r._error FROM sigdb_data.run_check(run, false) AS r) IS NULL;
