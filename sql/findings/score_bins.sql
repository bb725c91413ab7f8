-- score_bins: the distribution of scores in each group of $min_cells cells or more: the number of cells in each of
-- $n_bins bins. They go from the lowest score to the 99.9th percentile of all scores, or to the highest score if that
-- percentile is the lowest score. Higher scores count in the last bin: otherwise, one cell could decide the width of all bins.
-- n_above: the cells of a bin that are above its upper edge. If all scores are equal, there is one bin without width.
-- The database counts, so no cell leaves it. sigdb.score_bins replaces label_column by a column of `cells`.
WITH scored AS MATERIALIZED (
    SELECT c.label_column AS label, s.score
    FROM signature_score(
        $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
        measured_only := $measured_only
    ) AS s
    JOIN cells AS c ON s.cell_id = c.cell_id
    WHERE s.score IS NOT NULL
)
SELECT
    b.label, g.n_cells, g.mean, g.median, b.lowest + b.bin * b.width AS low,
    CASE WHEN b.bin = $n_bins - 1 THEN b.highest ELSE b.lowest + (b.bin + 1) * b.width END AS high,
    b.n, b.n_above
FROM (
    SELECT
        u.label, e.lowest, e.highest, (e.highest - e.lowest) / $n_bins AS width,
        coalesce(least(floor((u.score - e.lowest) / nullif((e.highest - e.lowest) / $n_bins, 0)), $n_bins - 1), 0) AS bin,
        count(*) AS n, count(*) FILTER (WHERE u.score > e.highest) AS n_above
    FROM scored AS u
    CROSS JOIN (
        SELECT
            min(a.score) AS lowest,
            CASE
                WHEN quantile_cont(a.score, 0.999) > min(a.score) THEN quantile_cont(a.score, 0.999) ELSE max(a.score)
            END AS highest
        FROM scored AS a
    ) AS e
    GROUP BY u.label, e.lowest, e.highest, width, bin
) AS b
JOIN (
    SELECT m.label, count(*) AS n_cells, avg(m.score) AS mean, median(m.score) AS median FROM scored AS m GROUP BY m.label
) AS g ON b.label IS NOT DISTINCT FROM g.label
WHERE g.n_cells >= $min_cells
ORDER BY g.mean DESC, b.label ASC, low ASC;
