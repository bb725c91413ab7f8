-- gene_positions(run) -> TABLE (_study, _gene, _position, _n)
-- Internal: the genes of each study (measured, and known to the run's model) in the order of their level in the atlas,
-- counted from 0, and the number of these genes. The level of a gene is the mean, over the studies that measured it, of the
-- logarithm of its mean |attribution| relative to the average gene of that study. So neither a deep study, nor a large one,
-- nor a panel of few genes moves it. 0.01 of an average gene is added, for genes that a study never saw.
-- Units:   none. Ties are in the order of gene_id. Levels are rounded, so that a tie does not depend on the order of a sum.
-- Example: SELECT _position FROM sigdb_data.gene_positions(NULL) WHERE _gene = 2;  --> 2

CREATE OR REPLACE MACRO sigdb_data.gene_positions(run) AS TABLE
SELECT
    p._study, p._gene, row_number() OVER (PARTITION BY p._study ORDER BY p._level, p._gene) - 1 AS _position, p._n
FROM (
    SELECT
        m._study, m._gene, m._n,
        round(avg(ln(0.01 + coalesce(v._sum, 0) / c._n_cells * m._n / 1000)) OVER (PARTITION BY m._gene), 9) AS _level
    FROM (
        SELECT q.study_id AS _study, q.gene_id AS _gene, count(*) OVER (PARTITION BY q.study_id) AS _n
        FROM sigdb_data.study_genes AS q JOIN sigdb_data.run_genes(run) AS g ON q.gene_id = g._gene
    ) AS m
    JOIN (
        SELECT s._study_id AS _study, sum(q.n_cells) AS _n_cells
        FROM sigdb_data.group_sizes AS q
        JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
        JOIN sigdb_data.sample_labels() AS s ON q.sample_id = s._sample
        GROUP BY s._study_id
    ) AS c ON m._study = c._study
    LEFT JOIN (
        SELECT s._study_id AS _study, q.gene_id AS _gene, sum(q.sum_abs) AS _sum
        FROM sigdb_data.attribution_summary AS q
        JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
        JOIN sigdb_data.sample_labels() AS s ON q.sample_id = s._sample
        GROUP BY s._study_id, q.gene_id
    ) AS v ON m._study = v._study AND m._gene = v._gene
) AS p;
