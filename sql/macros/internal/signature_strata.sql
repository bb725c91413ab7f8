-- signature_strata(genes, weights, n_bins, run)
--   -> TABLE (_study, _stratum, _gene, _weight, _place, _n_genes, _n_signature)
-- Internal: all genes of the strata (see gene_strata) that hold genes of the signature. The genes of the signature come
-- first in their stratum: _place counts from 1, in the order of gene_id. _weight is NULL for all other genes.
-- Units:   _n_genes, _n_signature: genes in the stratum, and genes of the signature among them. _weight: as in a mean,
--          weight / sum of |weight| over all genes of the signature.
-- Example: SELECT _n_genes FROM sigdb_data.signature_strata(['CD3E'], NULL, 25, NULL) WHERE _place = 1;  --> 1

CREATE OR REPLACE MACRO sigdb_data.signature_strata(genes, weights, n_bins, run) AS TABLE
SELECT k._study, k._stratum, k._gene, k._weight, k._place, k._n_genes, k._n_signature
FROM (
    SELECT
        a._study, a._stratum, a._gene, t._weight,
        row_number() OVER (
            PARTITION BY a._study, a._stratum ORDER BY CASE WHEN t._gene IS NULL THEN 1 ELSE 0 END ASC, a._gene ASC
        ) AS _place,
        count(*) OVER (PARTITION BY a._study, a._stratum) AS _n_genes,
        count(t._gene) OVER (PARTITION BY a._study, a._stratum) AS _n_signature
    FROM sigdb_data.gene_strata(run, n_bins) AS a
    LEFT JOIN sigdb_data.signature_terms(genes, weights, 'mean', run, NULL) AS t ON a._gene = t._gene
) AS k
WHERE k._n_signature > 0;
