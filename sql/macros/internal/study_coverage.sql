-- study_coverage(genes, weights, run, signatures) -> TABLE (_signature, _study, _n_genes, _n_measured, _factor)
-- Internal: how many genes of a score each study measured. _factor turns a mean over all genes into the mean over the
-- measured genes: the sum of |weight| of all genes, divided by the same sum of the measured genes. NULL if there are none.
-- Units:   counts of genes that the run's model knows.
-- Example: SELECT _n_measured FROM sigdb_data.study_coverage(['CD3E', 'S100A8'], NULL, NULL, NULL);  --> 2

CREATE OR REPLACE MACRO sigdb_data.study_coverage(genes, weights, run, signatures) AS TABLE
SELECT
    t._signature,
    s._study,
    count(*) AS _n_genes,
    count(m._gene) AS _n_measured,
    sum(abs(t._weight)) / nullif(sum(abs(t._weight)) FILTER (m._gene IS NOT NULL), 0) AS _factor
FROM sigdb_data.signature_terms(genes, weights, 'sum', run, signatures) AS t
CROSS JOIN (SELECT q.study_id AS _study FROM sigdb_data.studies AS q) AS s
LEFT JOIN (SELECT q.study_id AS _study, q.gene_id AS _gene FROM sigdb_data.study_genes AS q) AS m
    ON s._study = m._study AND t._gene = m._gene
GROUP BY t._signature, s._study;
