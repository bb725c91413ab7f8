-- gene_importance(cell_type := NULL, disease := NULL, tissue := NULL, study := NULL, run := NULL, signed := false)
--   -> TABLE (gene, score, n_cells, fraction_nonzero, n_measured, rank)
-- Which genes matter most to a group of cells: the mean attribution of every gene over all cells of a cell type, disease,
-- tissue and study. NULL stands for any value. The highest mean comes first.
-- n_cells: cells of the group.  n_measured: cells of the group whose study measured the gene.
-- fraction_nonzero: the part of n_cells in which the gene is not 0.
-- rank:    1 for the highest mean; ties share a rank.
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  a group without cells; an unknown run; signed := true if the scores of the run have no signs.
-- Example: SELECT gene FROM gene_importance(cell_type := 'monocyte') WHERE rank = 1;  --> S100A8

CREATE OR REPLACE MACRO gene_importance(
    cell_type := NULL, disease := NULL, tissue := NULL, study := NULL, run := NULL, signed := false
) AS TABLE
SELECT
    g._symbol AS gene, v._score AS score, v._n_cells AS n_cells, v._fraction AS fraction_nonzero,
    v._n_measured AS n_measured, rank() OVER (ORDER BY v._score DESC) AS rank
FROM (
    SELECT
        a._gene,
        sum(a._sum) / any_value(n._n_cells) AS _score,
        sum(a._n_nonzero)::DOUBLE / any_value(n._n_cells) AS _fraction,
        any_value(n._n_cells)::BIGINT AS _n_cells,
        any_value(m._n_measured)::BIGINT AS _n_measured
    FROM (
        SELECT
            q.gene_id AS _gene, q.n_nonzero AS _n_nonzero, CASE WHEN signed THEN q.sum_signed ELSE q.sum_abs END AS _sum
        FROM sigdb_data.importance_sums AS q
        JOIN sigdb_data.importance_groups AS g ON q.group_id = g.group_id
        JOIN sigdb_data.run_of(run) AS o ON g.run_id = o._run
        JOIN sigdb_data.studies AS t ON g.study_id = t.study_id
        WHERE g.all_types = (cell_type IS NULL)
            AND CASE WHEN disease IS NULL AND tissue IS NULL THEN g.all_conditions ELSE g.one_condition END
            AND (cell_type IS NULL OR g.cell_type = cell_type)
            AND (disease IS NULL OR g.disease = disease)
            AND (tissue IS NULL OR g.tissue = tissue)
            AND (study IS NULL OR t.study = study)
    ) AS a
    CROSS JOIN (
        SELECT sum(k._n) AS _n_cells
        FROM sigdb_data.chosen_groups(cell_type, disease, tissue, study, run) AS k
    ) AS n
    JOIN (
        SELECT q.gene_id AS _gene, sum(k._n) AS _n_measured
        FROM sigdb_data.study_genes AS q
        JOIN sigdb_data.chosen_groups(cell_type, disease, tissue, study, run) AS k ON q.study_id = k._study
        GROUP BY q.gene_id
    ) AS m ON a._gene = m._gene
    GROUP BY a._gene
) AS v
JOIN (SELECT q.gene_id AS _gene, q.symbol AS _symbol FROM sigdb_data.genes AS q) AS g ON v._gene = g._gene
WHERE (
    SELECT CASE
        WHEN k._n = 0
            THEN error('No cells of this run have cell_type ' || coalesce(cell_type, '(any)') || ', disease '
                || coalesce(disease, '(any)') || ', tissue ' || coalesce(tissue, '(any)') || ', study '
                || coalesce(study, '(any)') || '. SELECT DISTINCT cell_type, disease, tissue, study FROM cells lists what there is.')
    END
    FROM (SELECT count(*) AS _n FROM sigdb_data.chosen_groups(cell_type, disease, tissue, study, run)) AS k
    WHERE (SELECT e._error FROM sigdb_data.run_check(run, signed) AS e) IS NULL
) IS NULL
ORDER BY rank ASC, gene ASC;
