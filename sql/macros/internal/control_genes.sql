-- control_genes(genes, weights, n_controls, seed, n_bins, run) -> TABLE (_study, _control, _gene, _match, _weight)
-- Internal: control sets of a signature. In set number _control of a study, the gene _match stands for _gene and has its
-- weight. It is drawn from all genes of the same stratum (see gene_strata), those of the signature included, and occurs once
-- per set. The genes of a stratum are shuffled and cut into sets. If they are used up, they are shuffled again. So each set
-- is a uniformly random choice, and sets of one shuffle have no gene in common.
-- The shuffles come from md5 of the seed, the number of the shuffle and gene_id: they are the same in any DuckDB.
-- Units:   _weight: as in a mean, weight / sum of |weight| over all genes of the signature. Genes that the study did not
--          measure have no row.
-- Example: SELECT count(*) FROM sigdb_data.control_genes(['CD3E'], NULL, 5, 0, 25, NULL);  --> 5

CREATE OR REPLACE MACRO sigdb_data.control_genes(genes, weights, n_controls, seed, n_bins, run) AS TABLE
SELECT d._study, d._control, s._gene, d._gene AS _match, s._weight
FROM (
    SELECT
        o._study, o._stratum, o._gene,
        o._shuffle * o._n_sets + (o._rank - 1) // o._n_signature AS _control,
        (o._rank - 1) % o._n_signature + 1 AS _place
    FROM (
        SELECT
            p._study, p._stratum, p._gene, p._n_signature, p._n_sets, p._shuffle,
            row_number() OVER (
                PARTITION BY p._study, p._stratum, p._shuffle
                ORDER BY md5_number(seed || ' shuffle ' || p._shuffle || ' gene ' || p._gene) ASC, p._gene ASC
            ) AS _rank
        FROM (
            SELECT
                q._study, q._stratum, q._gene, q._n_signature, q._n_genes // q._n_signature AS _n_sets,
                unnest(range((n_controls - 1) // (q._n_genes // q._n_signature) + 1)) AS _shuffle
            FROM sigdb_data.signature_strata(genes, weights, n_bins, run) AS q
        ) AS p
    ) AS o
    WHERE o._rank <= o._n_sets * o._n_signature
) AS d
JOIN sigdb_data.signature_strata(genes, weights, n_bins, run) AS s
    ON d._study = s._study AND d._stratum = s._stratum AND d._place = s._place
WHERE d._control < n_controls;
