-- gene_strata(run, n_bins) -> TABLE (_study, _gene, _stratum)
-- Internal: the genes of each study (measured, and known to the run's model), in strata of similar attribution. There are
-- n_bins bins of mean |attribution| over the study's cells, like the bins of mean expression of scanpy's score_genes. Each
-- bin is divided in two by the part of the cells in which the gene is not 0. A bin has at least 100 genes, so a study with
-- few genes has fewer bins.
-- Units:   none. Ties are in the order of gene_id.
-- Example: SELECT count(DISTINCT _stratum) FROM sigdb_data.gene_strata(NULL, 25);  --> 2

CREATE OR REPLACE MACRO sigdb_data.gene_strata(run, n_bins) AS TABLE
SELECT
    b._study, b._gene,
    2 * b._bin + (2 * row_number() OVER (PARTITION BY b._study, b._bin ORDER BY b._nonzero ASC, b._gene ASC) - 2)
        // count(*) OVER (PARTITION BY b._study, b._bin) AS _stratum
FROM (
    SELECT
        r._study, r._gene, r._nonzero,
        (r._rank - 1) * greatest(1, least(n_bins, r._n_genes // 100)) // r._n_genes AS _bin
    FROM (
        SELECT
            m._study, m._gene, coalesce(v._nonzero, 0) AS _nonzero,
            row_number() OVER (PARTITION BY m._study ORDER BY coalesce(v._sum, 0) ASC, m._gene ASC) AS _rank,
            count(*) OVER (PARTITION BY m._study) AS _n_genes
        FROM (
            SELECT q.study_id AS _study, q.gene_id AS _gene
            FROM sigdb_data.study_genes AS q JOIN sigdb_data.run_genes(run) AS g ON q.gene_id = g._gene
        ) AS m
        LEFT JOIN (
            SELECT s._study_id AS _study, q.gene_id AS _gene, sum(q.sum_abs) AS _sum, sum(q.n_nonzero) AS _nonzero
            FROM sigdb_data.attribution_summary AS q
            JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run
            JOIN sigdb_data.sample_labels() AS s ON q.sample_id = s._sample
            GROUP BY s._study_id, q.gene_id
        ) AS v ON m._study = v._study AND m._gene = v._gene
    ) AS r
) AS b;
