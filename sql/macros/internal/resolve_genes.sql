-- resolve_genes(genes, weights, signatures) -> TABLE (_signature, _position, _asked, _weight, _gene, _rank, _ambiguous)
-- Internal: which gene each given name means. One row per element of `genes`, or per gene of the given library signatures.
-- A name is looked up as a symbol of the atlas, approved symbol, previous symbol, alias and Ensembl id (without its
-- version), and then as each of these in any case (_rank + 10). The first kind that knows the name decides. _gene is NULL
-- for an unknown name, for the name of a gene that the atlas lacks (source 'other' of gene_names), and for a name of several
-- genes (_ambiguous): a gene is never guessed.
-- Units:   _weight: as given; 1 without weights.
-- Example: SELECT _gene FROM sigdb_data.resolve_genes(['S100A8'], NULL, NULL);  --> 0

CREATE OR REPLACE MACRO sigdb_data.resolve_genes(genes, weights, signatures) AS TABLE
SELECT
    c._signature,
    c._position,
    any_value(c._asked) AS _asked,
    any_value(c._weight) AS _weight,
    -- arg_min skips NULL, so a gene that the atlas lacks is -1.
    CASE WHEN NOT arg_min(c._ambiguous, c._rank) THEN nullif(arg_min(c._gene, c._rank), -1)::UINTEGER END AS _gene,
    min(c._rank) AS _rank,
    coalesce(arg_min(c._ambiguous, c._rank), false) AS _ambiguous
FROM (
    SELECT
        a._signature,
        a._position,
        a._asked,
        a._weight,
        n._rank + CASE WHEN n._name = a._name THEN 0 ELSE 10 END AS _rank,
        min(n._gene) AS _gene,
        min(n._gene) <> max(n._gene) OR bool_or(n._ambiguous) AS _ambiguous
    FROM (
        SELECT
            u._signature,
            u._position,
            u._asked,
            u._weight,
            CASE
                WHEN regexp_matches(u._asked, '^ENS[A-Z]*G[0-9]+[.][0-9]+$', 'i') THEN split_part(u._asked, '.', 1)
                ELSE u._asked
            END AS _name
        FROM (
            SELECT
                NULL::VARCHAR AS _signature,
                g._position,
                g._asked,
                CASE WHEN weights IS NULL THEN 1 ELSE list_extract(TRY_CAST(weights AS DOUBLE[]), g._position) END::DOUBLE AS _weight
            FROM (SELECT unnest(sigdb_data.as_list(genes))::VARCHAR AS _asked, generate_subscripts(sigdb_data.as_list(genes), 1) AS _position) AS g
            UNION ALL
            SELECT s._signature, s._position, s._asked, s._weight
            FROM (
                SELECT q.signature AS _signature, q.position AS _position, q.gene AS _asked, q.weight AS _weight
                FROM sigdb_data.signatures AS q
            ) AS s
            WHERE list_contains(sigdb_data.as_list(signatures), s._signature)
        ) AS u
    ) AS a
    LEFT JOIN (
        SELECT
            q.name AS _name, q.name_lower AS _lower, q.rank AS _rank, q.is_ambiguous AS _ambiguous,
            CASE WHEN q.source = 'other' THEN -1 ELSE q.gene_id::BIGINT END AS _gene
        FROM sigdb_data.gene_names AS q
    ) AS n ON n._lower = lower(a._name)
    GROUP BY ALL
) AS c
GROUP BY c._signature, c._position;
