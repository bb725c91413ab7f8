-- signature_ranks: every signature of the library in a group of cells beside the other cells of the same studies, from the
-- cube. sigdb.rank_signatures replaces is_chosen by the condition that makes the group.
-- In each study, a gene has 51 control genes: those of the nearest level in the atlas, itself included (see gene_positions).
-- share: the part of them by which the mean attribution of the group is raised less, with half of those that are raised as
-- much. Of a random gene it is 0.5 on average. A gene has the mean of its shares over the studies that measured it.
-- above_controls: the mean share of the signature's genes, weighted as they are in the signature. z: its distance from 0.5,
-- divided by the standard deviation that it would have if the genes were drawn at random from those that as many studies
-- measured. A study counts if it has $min_cells cells of the group, and as many others.
-- score, score_others: mean scores over the cells of these studies; the others are weighted so that each study counts as
-- in the group. n_asked: genes of the signature. n_genes: those that the model knows. n_measured: those that a study which
-- counts measured. has_conflict: the signature names a gene twice, with different weights.
WITH groups AS (
    SELECT u.sample_id, u.study_id, u.cell_type, u.n_cells, coalesce(is_chosen, false) AS is_chosen
    FROM (
        SELECT s.* EXCLUDE (n_cells), g.cell_type, g.n_cells
        FROM sigdb_data.group_sizes AS g
        JOIN sigdb_data.run_of($run) AS o ON g.run_id = o._run
        JOIN samples AS s ON g.sample_id = s.sample_id
    ) AS u
),
used AS (
    SELECT
        g.study_id, sum(g.n_cells) FILTER (g.is_chosen) AS n_chosen, sum(g.n_cells) FILTER (NOT g.is_chosen) AS n_others
    FROM groups AS g
    GROUP BY g.study_id
    HAVING n_chosen >= $min_cells AND n_others >= $min_cells
),
sums AS (
    SELECT
        g.study_id, q.gene_id, coalesce(sum(q.sum_abs) FILTER (g.is_chosen), 0) AS chosen,
        coalesce(sum(q.sum_abs) FILTER (NOT g.is_chosen), 0) AS others
    FROM sigdb_data.attribution_summary AS q
    JOIN sigdb_data.run_of($run) AS o ON q.run_id = o._run
    JOIN groups AS g ON q.sample_id = g.sample_id AND q.cell_type IS NOT DISTINCT FROM g.cell_type
    GROUP BY g.study_id, q.gene_id
),
raised AS (
    SELECT
        p._study AS study_id, p._gene AS gene_id, p._position AS position, p._n AS n,
        coalesce(v.chosen / u.n_chosen, 0) AS chosen, coalesce(v.others / u.n_others, 0) AS others, u.n_chosen,
        -- Rounded, so that genes which are raised as much are equal whatever the order of their sums.
        round(coalesce(v.chosen / u.n_chosen - v.others / u.n_others, 0), 9) AS by
    FROM sigdb_data.gene_positions($run) AS p
    JOIN used AS u ON p._study = u.study_id
    LEFT JOIN sums AS v ON p._study = v.study_id AND p._gene = v.gene_id
),
shares AS (
    SELECT g.gene_id, avg(g.share) AS share, count(*) AS n_studies
    FROM (
        SELECT r.study_id, r.gene_id, avg(CASE WHEN c.by < r.by THEN 1.0 WHEN c.by = r.by THEN 0.5 ELSE 0.0 END) AS share
        FROM raised AS r
        CROSS JOIN (SELECT unnest(range(51)) AS i) AS k
        JOIN raised AS c
            ON r.study_id = c.study_id
            AND CASE WHEN r.position < 25 OR r.n <= 51 THEN 0 WHEN r.position < r.n - 25 THEN r.position - 25 ELSE r.n - 51 END
            + k.i = c.position
        GROUP BY r.study_id, r.gene_id
    ) AS g
    GROUP BY g.gene_id
),
spreads AS (
    SELECT s.n_studies, avg(s.share) AS mean, var_pop(s.share) AS variance FROM shares AS s GROUP BY s.n_studies
),
means AS (
    SELECT
        r.gene_id, sum(r.n_chosen * r.chosen) / (SELECT sum(u.n_chosen) FROM used AS u) AS chosen,
        sum(r.n_chosen * r.others) / (SELECT sum(u.n_chosen) FROM used AS u) AS others
    FROM raised AS r
    GROUP BY r.gene_id
),
members AS (
    SELECT q.signature, n.gene_id, any_value(q.weight) AS weight, count(*) AS n_names, count(DISTINCT q.weight) > 1 AS differs
    FROM sigdb_data.signatures AS q
    LEFT JOIN (
        SELECT r._asked AS name, r._gene AS gene_id
        FROM sigdb_data.resolve_genes((SELECT list(DISTINCT e.gene) FROM sigdb_data.signatures AS e), NULL, NULL) AS r
        JOIN sigdb_data.run_genes($run) AS m ON r._gene = m._gene
    ) AS n ON q.gene = n.name
    GROUP BY q.signature, n.gene_id
)
SELECT
    t.signature, (t.above_controls - t.expected) / nullif(sqrt(t.variance), 0) AS z, t.above_controls,
    t.score - t.score_others AS difference, t.score, t.score_others, t.n_asked, t.n_genes, t.n_measured, t.has_conflict
FROM (
    SELECT
        m.signature,
        sum(m.weight * s.share) / nullif(sum(abs(m.weight)) FILTER (s.share IS NOT NULL), 0) AS above_controls,
        sum(m.weight * v.mean) / nullif(sum(abs(m.weight)) FILTER (s.share IS NOT NULL), 0) AS expected,
        sum(m.weight ** 2 * v.variance) / nullif(sum(abs(m.weight)) FILTER (s.share IS NOT NULL), 0) ** 2 AS variance,
        sum(m.weight * coalesce(e.chosen, 0)) FILTER (m.gene_id IS NOT NULL)
        / nullif(sum(abs(m.weight)) FILTER (m.gene_id IS NOT NULL), 0) AS score,
        sum(m.weight * coalesce(e.others, 0)) FILTER (m.gene_id IS NOT NULL)
        / nullif(sum(abs(m.weight)) FILTER (m.gene_id IS NOT NULL), 0) AS score_others,
        sum(m.n_names)::BIGINT AS n_asked,
        count(m.gene_id) AS n_genes,
        count(s.gene_id) AS n_measured,
        bool_or(m.differs AND m.gene_id IS NOT NULL) AS has_conflict
    FROM members AS m
    LEFT JOIN shares AS s ON m.gene_id = s.gene_id
    LEFT JOIN spreads AS v ON s.n_studies = v.n_studies
    LEFT JOIN means AS e ON m.gene_id = e.gene_id
    GROUP BY m.signature
) AS t
ORDER BY z IS NULL ASC, z DESC, t.signature ASC;
