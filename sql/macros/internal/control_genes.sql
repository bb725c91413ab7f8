-- control_genes(genes, weights, n_controls, seed, n_bins, run) -> TABLE (_study, _control, _gene, _match, _weight)
-- Internal: control sets of a signature. In set number _control of a study, the gene _match replaces _gene. It is a gene of
-- the same stratum (see gene_strata), is not in the signature, and occurs once per set. The genes of a stratum are shuffled;
-- a set takes every k-th of them from a random start, with a random k. A study has no sets if one of its strata has fewer
-- other genes than genes of the signature. Randomness comes from md5 of the seed and of ids: the same in any DuckDB.
-- Units:   _weight: as given. Genes that the study did not measure have no row.
-- Example: SELECT count(*) FROM sigdb_data.control_genes(['CD3E'], NULL, 5, 0, 25, NULL);  --> 0

CREATE OR REPLACE MACRO sigdb_data.control_genes(genes, weights, n_controls, seed, n_bins, run) AS TABLE
SELECT d._study, d._control, d._gene, p._gene AS _match, d._weight
FROM (
    SELECT
        k._study, k._stratum, k._gene, k._weight, c._control,
        (
            md5_number_lower(seed || ' start ' || c._control || ' ' || k._stratum) % k._n_pool
            + (k._place - 1) * (1 + md5_number_lower(seed || ' step ' || c._control || ' ' || k._stratum)
                % greatest(1, (k._n_pool - 1) // greatest(k._n_signature - 1, 1))::UBIGINT)
        ) % k._n_pool AS _index
    FROM (
        SELECT
            s._study, s._stratum, s._gene, s._weight, n._n_pool::UBIGINT AS _n_pool, n._n_signature,
            row_number() OVER (PARTITION BY s._study, s._stratum ORDER BY s._gene)::UBIGINT AS _place,
            max(CASE WHEN n._n_pool < n._n_signature THEN 1 ELSE 0 END) OVER (PARTITION BY s._study) AS _short
        FROM (
            SELECT a._study, a._stratum, t._gene, t._weight
            FROM sigdb_data.gene_strata(run, n_bins) AS a
            JOIN sigdb_data.signature_terms(genes, weights, 'sum', run, NULL) AS t ON a._gene = t._gene
        ) AS s
        JOIN (
            SELECT
                a._study, a._stratum, count(*) FILTER (WHERE t._gene IS NULL) AS _n_pool, count(t._gene) AS _n_signature
            FROM sigdb_data.gene_strata(run, n_bins) AS a
            LEFT JOIN sigdb_data.signature_terms(genes, weights, 'sum', run, NULL) AS t ON a._gene = t._gene
            GROUP BY a._study, a._stratum
        ) AS n ON s._study = n._study AND s._stratum = n._stratum
    ) AS k
    CROSS JOIN (SELECT unnest(range(n_controls)) AS _control) AS c
    WHERE k._short = 0
) AS d
JOIN (
    SELECT
        a._study, a._stratum, a._gene,
        row_number() OVER (
            PARTITION BY a._study, a._stratum ORDER BY md5_number_lower(seed || ' gene ' || a._gene), a._gene
        ) - 1 AS _index
    FROM sigdb_data.gene_strata(run, n_bins) AS a
    WHERE a._gene NOT IN (SELECT t._gene FROM sigdb_data.signature_terms(genes, weights, 'sum', run, NULL) AS t)
) AS p ON d._study = p._study AND d._stratum = p._stratum AND d._index = p._index;
