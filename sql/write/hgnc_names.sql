-- hgnc_names: every name under which HGNC knows a gene, with the gene's approved symbol.
-- Reads sigdb_hgnc (symbol, ensembl_id, previous, alias). A name counts only as the best thing it is anywhere: a
-- synonym of one gene that is the approved symbol of another means that other one, whether or not it is in the atlas.
-- is_ambiguous: several genes bear the name, equally.
CREATE OR REPLACE TEMP TABLE sigdb_hgnc_names AS
SELECT
    n.name, n.symbol, n.source, n.rank,
    count(DISTINCT n.symbol) OVER (PARTITION BY n.name) > 1 AS is_ambiguous
FROM (
    SELECT u.name, u.symbol, u.source, u.rank
    FROM (
        SELECT h.symbol AS name, h.symbol, 'approved' AS source, 1 AS rank FROM sigdb_hgnc AS h
        UNION
        SELECT unnest(h.previous), h.symbol, 'previous', 2 FROM sigdb_hgnc AS h
        UNION
        SELECT unnest(h.alias), h.symbol, 'alias', 3 FROM sigdb_hgnc AS h
        UNION
        SELECT h.ensembl_id, h.symbol, 'ensembl', 4 FROM sigdb_hgnc AS h WHERE h.ensembl_id IS NOT NULL
    ) AS u
    QUALIFY u.rank = min(u.rank) OVER (PARTITION BY u.name)
) AS n;
