-- unread_terms(genes, weights, run, signatures) -> TABLE (_signature, _study, _gene, _n_unread, _n_expressed, _is_many)
-- Internal: the genes of a score that the run did not read in some cells of a study that express them. _n_expressed: cells
-- that express the gene. Of these, the cube knows the cells in which its score is not 0. _is_many: whether the gene was
-- not read in more than a tenth of them. Warnings and counts of unread genes mean these genes.
-- Units:   counts of cells.
-- Example: SELECT count(*) FROM sigdb_data.unread_terms(['CD3E', 'S100A8'], NULL, NULL, NULL);  --> 0

CREATE OR REPLACE MACRO sigdb_data.unread_terms(genes, weights, run, signatures) AS TABLE
SELECT
    v._signature, v._study, v._gene, v._n_unread, v._n_unread + v._n_scored AS _n_expressed,
    v._n_unread > 0.1 * (v._n_unread + v._n_scored) AS _is_many
FROM (
    SELECT
        u._signature, u._study, u._gene, u._n_unread, coalesce(sum(s._n), 0)::BIGINT AS _n_scored
    FROM (
        SELECT t._signature, q.study_id AS _study, t._gene, q.run_id AS _run, q.n_cells::BIGINT AS _n_unread
        FROM sigdb_data.signature_terms(genes, weights, 'sum', run, signatures) AS t
        JOIN sigdb_data.unread_genes AS q ON t._gene = q.gene_id
        JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
    ) AS u
    LEFT JOIN (
        SELECT a.run_id AS _run, p.study_id AS _study, a.gene_id AS _gene, a.n_nonzero AS _n
        FROM sigdb_data.attribution_summary AS a JOIN sigdb_data.samples AS p ON a.sample_id = p.sample_id
    ) AS s ON u._run = s._run AND u._study = s._study AND u._gene = s._gene
    GROUP BY u._signature, u._study, u._gene, u._n_unread
) AS v;
