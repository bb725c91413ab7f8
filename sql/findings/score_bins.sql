-- score_bins: the distribution of scores in each group of $min_cells cells or more: the number of cells in each of
-- $n_bins bins between the lowest and the highest score. The database counts, so no cell leaves it. sigdb.score_bins
-- replaces label_column by a column of `cells`.
SELECT
    b.label, b.n_cells, b.mean, b.lowest + b.bin * b.width AS low, b.lowest + (b.bin + 1) * b.width AS high,
    count(*) AS n
FROM (
    SELECT
        w.label, w.n_cells, w.mean, w.lowest, w.width,
        least(floor((w.score - w.lowest) / nullif(w.width, 0)), $n_bins - 1) AS bin
    FROM (
        SELECT
            u.label, u.score,
            count(*) OVER (PARTITION BY u.label) AS n_cells,
            avg(u.score) OVER (PARTITION BY u.label) AS mean,
            min(u.score) OVER () AS lowest,
            (max(u.score) OVER () - min(u.score) OVER ()) / $n_bins AS width
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
GROUP BY b.label, b.n_cells, b.mean, b.lowest, b.bin, b.width
ORDER BY b.mean DESC, b.label ASC, low ASC;
