-- control_counts(genes, weights, n_bins, run) -> TABLE (_study, _n_sets)
-- Internal: how many distinct control sets a study has, the signature itself included. From a stratum of n genes with k
-- genes of the signature, n! / (n - k)! choices are possible. Exchanging genes of equal weight does not change a set.
-- Units:   sets; 1000000 stands for that many or more. A study that measured no gene of the signature has no row.
-- Example: SELECT _n_sets FROM sigdb_data.control_counts(['CD3E'], NULL, 25, NULL);  --> 1

CREATE OR REPLACE MACRO sigdb_data.control_counts(genes, weights, n_bins, run) AS TABLE
SELECT
    c._study,
    -- A sum of logarithms, since the product can be larger than a DOUBLE.
    CASE WHEN sum(c._log) < ln(1000000) THEN round(exp(sum(c._log))) ELSE 1000000 END::BIGINT AS _n_sets
FROM (
    SELECT
        s._study,
        ln((s._n_genes - s._place + 1)::DOUBLE / row_number() OVER (
            PARTITION BY s._study, s._stratum, s._weight ORDER BY s._gene ASC
        )) AS _log
    FROM sigdb_data.signature_strata(genes, weights, n_bins, run) AS s
    WHERE s._weight IS NOT NULL
) AS c
GROUP BY c._study;
