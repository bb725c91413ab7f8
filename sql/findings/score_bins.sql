-- score_bins: the distribution of scores in each group of $min_cells cells or more: the number of cells in each of
-- $n_bins bins. They go from the lowest score to the 99.9th percentile of all scores, or to the highest score if that
-- percentile is the lowest score. Higher scores count in the last bin: otherwise, one cell could decide the width of all bins.
-- n_above: the cells of a bin that are above its upper edge. If all scores are equal, there is one bin without width.
-- The database counts, so no cell leaves it. sigdb.score_bins replaces label_column by a column of `cells`.
SELECT
    b.label, b.n_cells, b.mean, b.median, b.lowest + b.bin * b.width AS low,
    CASE WHEN b.bin = $n_bins - 1 THEN b.highest ELSE b.lowest + (b.bin + 1) * b.width END AS high,
    count(*) AS n, count(*) FILTER (WHERE b.score > b.highest) AS n_above
FROM (
    SELECT
        w.*, (w.highest - w.lowest) / $n_bins AS width,
        coalesce(
            least(floor((w.score - w.lowest) / nullif((w.highest - w.lowest) / $n_bins, 0)), $n_bins - 1), 0
        ) AS bin
    FROM (
        SELECT
            u.label, u.score,
            count(*) OVER (PARTITION BY u.label) AS n_cells,
            avg(u.score) OVER (PARTITION BY u.label) AS mean,
            median(u.score) OVER (PARTITION BY u.label) AS median,
            min(u.score) OVER () AS lowest,
            CASE
                WHEN quantile_cont(u.score, 0.999) OVER () > min(u.score) OVER () THEN quantile_cont(u.score, 0.999) OVER ()
                ELSE max(u.score) OVER ()
            END AS highest
        FROM (
            SELECT c.label_column AS label, s.score
            FROM signature_score(
                $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
                measured_only := $measured_only
            ) AS s
            JOIN cells AS c ON s.cell_id = c.cell_id
            WHERE s.score IS NOT NULL
        ) AS u
    ) AS w
) AS b
WHERE b.n_cells >= $min_cells
GROUP BY b.label, b.n_cells, b.mean, b.median, b.lowest, b.highest, b.bin, b.width
ORDER BY b.mean DESC, b.label ASC, low ASC;
