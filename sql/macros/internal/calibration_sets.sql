-- calibration_sets(genes, weights, agg, run) -> TABLE (_study, _control, _gene, _weight)
-- Internal: 200 control sets of a signature in each study, numbered from 0. In each set, every gene of the signature that the
-- study measured is replaced by one of the 51 genes of that study whose levels in the atlas are nearest (see
-- gene_positions). The gene itself is one of them. The choice depends on nothing but the ids of the genes: an integer hash,
-- which every database computes alike.
-- Units:   _weight: as in signature_terms. A gene that replaces two genes of a set has the sum of their weights.
-- Example: SELECT count(DISTINCT _control) FROM sigdb_data.calibration_sets(['CD3E'], NULL, 'mean', NULL);  --> 200

CREATE OR REPLACE MACRO sigdb_data.calibration_sets(genes, weights, agg, run) AS TABLE
SELECT c._study, c._control, p._gene, sum(c._weight) AS _weight
FROM (
    SELECT
        h._study, h._control, h._weight,
        CASE WHEN h._n <= 51 OR h._position < 25 THEN 0 WHEN h._position < h._n - 25 THEN h._position - 25 ELSE h._n - 51 END
        + h._hash * h._hash % 2147483647 % CASE WHEN h._n < 51 THEN h._n ELSE 51 END AS _position
    FROM (
        SELECT
            g._study, g._position, g._n, t._weight, j._control,
            (t._gene::BIGINT * 1103515245 + j._control::BIGINT * 12345679 + 1013904223) % 2147483647 AS _hash
        FROM sigdb_data.gene_positions(run) AS g
        JOIN sigdb_data.signature_terms(genes, weights, agg, run, NULL) AS t ON g._gene = t._gene
        CROSS JOIN (SELECT unnest(range(200)) AS _control) AS j
    ) AS h
) AS c
JOIN sigdb_data.gene_positions(run) AS p ON c._study = p._study AND c._position = p._position
GROUP BY c._study, c._control, p._gene;
