-- name: studies
-- The studies that have the embedding of the columns x_column and y_column, with their number of cells in it. The page
-- replaces is_chosen by its filters.
SELECT c.study, count(*) AS n_cells
FROM cells AS c
JOIN sigdb_data.run_cells($run) AS r ON c.cell_id = r._cell
WHERE c.x_column IS NOT NULL AND c.y_column IS NOT NULL AND is_chosen
GROUP BY c.study
ORDER BY n_cells DESC, c.study ASC;

-- name: groups
-- The cells of the study $study that have a place in the embedding, by label_column: their number, mean score and depth.
-- n_lassoed: how many of them fulfil is_lassoed, the condition of the lasso. This table says what the picture shows.
SELECT
    c.label_column AS label, count(*) AS n_cells, avg(s.score) AS score,
    count(*) FILTER (WHERE is_lassoed) AS n_lassoed, avg(s.score) FILTER (WHERE is_lassoed) AS score_lassoed,
    median(c.n_counts) AS median_counts
FROM signature_score(
    $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
    measured_only := $measured_only
) AS s
JOIN cells AS c ON s.cell_id = c.cell_id
WHERE s.score IS NOT NULL AND c.x_column IS NOT NULL AND c.y_column IS NOT NULL AND c.study = $study AND is_chosen
GROUP BY label
ORDER BY n_cells DESC, label ASC NULLS LAST;

-- name: points
-- The same cells one by one, in the small types that a page can draw a million of. The highest scores come last.
-- group: the place of the label of the cell in $labels, from 1; 0 if it has none or is not among them.
SELECT
    c.cell_id, c.x_column::FLOAT AS x, c.y_column::FLOAT AS y, s.score::FLOAT AS score, 1::UINTEGER AS n,
    coalesce(list_position($labels, c.label_column::VARCHAR), 0)::USMALLINT AS "group"
FROM signature_score(
    $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
    measured_only := $measured_only
) AS s
JOIN cells AS c ON s.cell_id = c.cell_id
WHERE s.score IS NOT NULL AND c.x_column IS NOT NULL AND c.y_column IS NOT NULL AND c.study = $study AND is_chosen
ORDER BY s.score ASC, c.cell_id ASC;

-- name: squares
-- The same cells in squares of a grid of $n_bins by $n_bins, for studies of more cells than a page draws one by one.
-- x, y: the middle of the square. score: the mean of its n cells. group: the commonest of its cells.
SELECT
    NULL::UINTEGER AS cell_id,
    (b.left_x + (b.place_x + 0.5) * b.width)::FLOAT AS x, (b.low_y + (b.place_y + 0.5) * b.height)::FLOAT AS y,
    avg(b.score)::FLOAT AS score, count(*)::UINTEGER AS n,
    coalesce(list_position($labels, mode(b.label ORDER BY b.label ASC)), 0)::USMALLINT AS "group"
FROM (
    SELECT
        u.label, u.score, g.left_x, g.low_y, g.width, g.height,
        least(floor((u.x - g.left_x) / g.width), $n_bins - 1) AS place_x,
        least(floor((u.y - g.low_y) / g.height), $n_bins - 1) AS place_y
    FROM (
        SELECT c.label_column::VARCHAR AS label, c.x_column AS x, c.y_column AS y, s.score
        FROM signature_score(
            $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
            measured_only := $measured_only
        ) AS s
        JOIN cells AS c ON s.cell_id = c.cell_id
        WHERE s.score IS NOT NULL AND c.x_column IS NOT NULL AND c.y_column IS NOT NULL AND c.study = $study AND is_chosen
    ) AS u
    CROSS JOIN (
        SELECT
            min(c.x_column) AS left_x, min(c.y_column) AS low_y,
            greatest((max(c.x_column) - min(c.x_column)) / $n_bins, 1e-9) AS width,
            greatest((max(c.y_column) - min(c.y_column)) / $n_bins, 1e-9) AS height
        FROM cells AS c
        WHERE c.x_column IS NOT NULL AND c.y_column IS NOT NULL AND c.study = $study
    ) AS g
) AS b
GROUP BY b.left_x, b.low_y, b.width, b.height, b.place_x, b.place_y
ORDER BY score ASC, x ASC, y ASC;

-- name: genes
-- The $n genes whose mean attribution is raised most in the cells of the lasso (is_lassoed), beside the other cells of the
-- study $study that the filters keep (is_chosen). The sums of the others are those of the cube less those of the lasso.
-- score, score_others: mean attributions in thousandths of a cell. fraction_nonzero: the part of the cells in which it is
-- not 0. A study counts if the lasso and the others have $min_cells cells. Errors: as for run_check.
-- explorer/cells.genes gives its CTEs to findings/signature_ranks, so that a lasso is ranked as any group is.
WITH chosen AS (
    SELECT c.cell_id
    FROM cells AS c
    JOIN sigdb_data.run_cells($run) AS r ON c.cell_id = r._cell
    WHERE c.study = $study AND is_lassoed AND is_chosen
),
groups AS (
    SELECT c.sample_id, c.study_id, c.cell_type, c.n_cells
    FROM (
        SELECT s.* EXCLUDE (n_cells), g.cell_type, g.n_cells
        FROM sigdb_data.group_sizes AS g
        JOIN sigdb_data.run_of($run) AS o ON g.run_id = o._run
        JOIN samples AS s ON g.sample_id = s.sample_id
    ) AS c
    WHERE c.study = $study AND is_chosen
),
used AS (
    SELECT
        g.study_id, (SELECT count(*) FROM chosen) AS n_chosen, (sum(g.n_cells) - (SELECT count(*) FROM chosen))::BIGINT AS n_others
    FROM groups AS g
    GROUP BY g.study_id
    HAVING n_chosen >= $min_cells AND n_others >= $min_cells
),
lassoed AS (
    SELECT a.gene_id, sum(abs(a.score)) AS sum_abs, count(*) AS n_nonzero
    FROM sigdb_data.attributions AS a
    JOIN sigdb_data.run_of($run) AS o ON a.run_id = o._run
    WHERE a.cell_id IN (SELECT k.cell_id FROM chosen AS k)
    GROUP BY a.gene_id
),
sums AS (
    SELECT
        u.study_id, t.gene_id, coalesce(l.sum_abs, 0) AS chosen, greatest(t.sum_abs - coalesce(l.sum_abs, 0), 0) AS others,
        coalesce(l.n_nonzero, 0) AS nonzero_chosen, t.n_nonzero - coalesce(l.n_nonzero, 0) AS nonzero_others
    FROM (
        SELECT g.study_id, q.gene_id, sum(q.sum_abs) AS sum_abs, sum(q.n_nonzero)::BIGINT AS n_nonzero
        FROM sigdb_data.attribution_summary AS q
        JOIN sigdb_data.run_of($run) AS o ON q.run_id = o._run
        JOIN groups AS g ON q.sample_id = g.sample_id AND q.cell_type IS NOT DISTINCT FROM g.cell_type
        GROUP BY g.study_id, q.gene_id
    ) AS t
    JOIN used AS u ON t.study_id = u.study_id
    LEFT JOIN lassoed AS l ON t.gene_id = l.gene_id
)
SELECT
    g.symbol AS gene, v.chosen / u.n_chosen - v.others / u.n_others AS difference, v.chosen / u.n_chosen AS score,
    v.others / u.n_others AS score_others, v.nonzero_chosen / u.n_chosen AS fraction_nonzero,
    v.nonzero_others / u.n_others AS fraction_nonzero_others, u.n_chosen AS n_cells, u.n_others AS n_cells_others
FROM sums AS v
JOIN used AS u ON v.study_id = u.study_id
JOIN sigdb_data.genes AS g ON v.gene_id = g.gene_id
WHERE (SELECT e._error FROM sigdb_data.run_check($run, false) AS e) IS NULL
ORDER BY difference DESC, gene ASC
LIMIT $n;

-- name: top_genes
-- The $n genes of highest mean attribution in the cells that the page chooses (is_chosen), and genes that tie with the last.
-- The columns are those of gene_importance, whose sums of whole groups of cells a lasso cannot use. Errors: as for run_check.
WITH chosen AS (
    SELECT c.cell_id, t.study_id
    FROM cells AS c
    JOIN sigdb_data.run_cells($run) AS r ON c.cell_id = r._cell
    JOIN sigdb_data.studies AS t ON c.study = t.study
    WHERE is_chosen
)
SELECT v.*
FROM (
    SELECT
        g.symbol AS gene, s.total / n.n_cells AS score, n.n_cells, s.n_nonzero / n.n_cells AS fraction_nonzero, m.n_measured,
        rank() OVER (ORDER BY s.total DESC) AS rank
    FROM (
        SELECT k.gene_id, sum(q.n_cells)::BIGINT AS n_measured
        FROM sigdb_data.study_genes AS k
        JOIN (SELECT u.study_id, count(*) AS n_cells FROM chosen AS u GROUP BY u.study_id) AS q ON k.study_id = q.study_id
        GROUP BY k.gene_id
    ) AS m
    JOIN sigdb_data.genes AS g ON m.gene_id = g.gene_id
    JOIN (
        SELECT a.gene_id, sum(CASE WHEN $signed THEN a.score ELSE abs(a.score) END) AS total, count(*) AS n_nonzero
        FROM sigdb_data.attributions AS a
        JOIN sigdb_data.run_of($run) AS o ON a.run_id = o._run
        WHERE a.cell_id IN (SELECT u.cell_id FROM chosen AS u)
        GROUP BY a.gene_id
    ) AS s ON m.gene_id = s.gene_id
    CROSS JOIN (SELECT count(*) AS n_cells FROM chosen AS u) AS n
) AS v
WHERE v.rank <= $n AND (SELECT e._error FROM sigdb_data.run_check($run, $signed) AS e) IS NULL
ORDER BY v.rank ASC, v.gene ASC;

-- name: attributions
-- About the number of attributions in the atlas, which the catalog of DuckDB knows without reading them.
SELECT sum(t.estimated_size)::BIGINT AS n_attributions
FROM duckdb_tables() AS t
WHERE t.schema_name = 'sigdb_data' AND t.table_name = 'attributions';
