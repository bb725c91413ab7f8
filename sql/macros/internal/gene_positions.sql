-- gene_positions(run) -> TABLE (_study, _gene, _position, _n)
-- Internal: the genes of each study (measured, and known to the run's model) in the order of their level in the atlas,
-- counted from 0, and the number of these genes. The level of a gene is the mean, over the studies that measured it and over
-- the cell types of each (see large_types), of ln(0.01 + its mean |attribution| / that of an average gene of the study). So
-- a deep study, a large one, a common cell type and a panel of few genes count no more than others.
-- Units:   none. Ties are in the order of gene_id. Levels are rounded, so that a tie does not depend on the order of a sum.
--          ln(0.01) is left out of all levels, so that a type without the gene adds 0.
-- Example: SELECT _position FROM sigdb_data.gene_positions(NULL) WHERE _gene = 2;  --> 2

CREATE OR REPLACE MACRO sigdb_data.gene_positions(run) AS TABLE
SELECT
    p._study, p._gene, row_number() OVER (PARTITION BY p._study ORDER BY p._level ASC, p._gene ASC) - 1 AS _position, p._n
FROM (
    SELECT
        m._study, m._gene, m._n, round(avg(coalesce(v._logs, 0)) OVER (PARTITION BY m._gene), 9) AS _level
    FROM (
        SELECT q.study_id AS _study, q.gene_id AS _gene, count(*) OVER (PARTITION BY q.study_id) AS _n
        FROM sigdb_data.study_genes AS q JOIN sigdb_data.run_genes(run) AS g ON q.gene_id = g._gene
    ) AS m
    LEFT JOIN (
        SELECT c._study, c._gene, sum(ln(1 + 100 * c._sum / t._n_cells * t._n_genes / 1000) / t._n_types) AS _logs
        FROM (
            SELECT s._study_id AS _study, q.cell_type AS _type, q.gene_id AS _gene, sum(q.sum_abs) AS _sum
            FROM sigdb_data.attribution_summary AS q
            JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
            JOIN sigdb_data.sample_labels() AS s ON q.sample_id = s._sample
            GROUP BY s._study_id, q.cell_type, q.gene_id
        ) AS c
        JOIN sigdb_data.large_types(run) AS t ON c._study = t._study AND c._type IS NOT DISTINCT FROM t._type
        GROUP BY c._study, c._gene
    ) AS v ON m._study = v._study AND m._gene = v._gene
    WHERE m._study IN (SELECT t._study FROM sigdb_data.large_types(run) AS t)
) AS p;
