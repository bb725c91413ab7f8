-- embedding: the cells of each study in an embedding, with their score. A row is a cell; in a study of more than
-- $max_points cells, it is a square of a grid of $n_bins by $n_bins. The database counts, so no cell leaves it.
-- x_low to x_high, y_low to y_high: the square, or the position of the cell twice. score: the mean of its n cells.
-- cell_type: the commonest type of its cells.
-- sigdb.embedding replaces x_column and y_column by columns of `cells`. Cells without a position are left out.
SELECT
    b.study, b.is_binned,
    CASE WHEN b.is_binned THEN b.left_x + b.place_x * b.width ELSE any_value(b.x) END AS x_low,
    CASE WHEN b.is_binned THEN b.left_x + (b.place_x + 1) * b.width ELSE any_value(b.x) END AS x_high,
    CASE WHEN b.is_binned THEN b.low_y + b.place_y * b.height ELSE any_value(b.y) END AS y_low,
    CASE WHEN b.is_binned THEN b.low_y + (b.place_y + 1) * b.height ELSE any_value(b.y) END AS y_high,
    count(*) AS n,
    mode(b.cell_type ORDER BY b.cell_type ASC) AS cell_type,
    avg(b.score) AS score
FROM (
    SELECT
        w.*,
        CASE WHEN w.is_binned THEN least(floor((w.x - w.left_x) / w.width), $n_bins - 1) ELSE w.cell_id END AS place_x,
        CASE WHEN w.is_binned THEN least(floor((w.y - w.low_y) / w.height), $n_bins - 1) ELSE 0 END AS place_y
    FROM (
        SELECT
            u.*,
            count(*) OVER (PARTITION BY u.study) > $max_points AS is_binned,
            min(u.x) OVER (PARTITION BY u.study) AS left_x,
            min(u.y) OVER (PARTITION BY u.study) AS low_y,
            greatest((max(u.x) OVER (PARTITION BY u.study) - min(u.x) OVER (PARTITION BY u.study)) / $n_bins, 1e-9) AS width,
            greatest((max(u.y) OVER (PARTITION BY u.study) - min(u.y) OVER (PARTITION BY u.study)) / $n_bins, 1e-9) AS height
        FROM (
            SELECT c.study, c.cell_id, c.cell_type, c.x_column AS x, c.y_column AS y, s.score
            FROM signature_score(
                $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
                measured_only := $measured_only
            ) AS s
            JOIN cells AS c ON s.cell_id = c.cell_id
            WHERE s.score IS NOT NULL AND c.x_column IS NOT NULL AND c.y_column IS NOT NULL
        ) AS u
    ) AS w
) AS b
GROUP BY b.study, b.is_binned, b.left_x, b.low_y, b.width, b.height, b.place_x, b.place_y
ORDER BY b.study ASC, score ASC, x_low ASC, y_low ASC;
