-- hgnc_names: every name under which HGNC knows a gene, with the gene's approved symbol.
-- Reads sigdb_hgnc (symbol, ensembl_id, previous, alias). A name counts only as the best thing it is anywhere: a
-- synonym of one gene that is the approved symbol of another means that other one, whether or not it is in the atlas.
-- is_ambiguous: several genes bear the name, equally.
CREATE OR REPLACE TEMP TABLE sigdb_hgnc_names AS
WITH borne AS MATERIALIZED (
    SELECT h.symbol AS name, h.symbol, 'approved' AS source, 1 AS rank FROM sigdb_hgnc AS h
    UNION ALL
    SELECT unnest(list_distinct(h.previous)), h.symbol, 'previous', 2 FROM sigdb_hgnc AS h
    UNION ALL
    SELECT unnest(list_distinct(h.alias)), h.symbol, 'alias', 3 FROM sigdb_hgnc AS h
    UNION ALL
    SELECT h.ensembl_id, h.symbol, 'ensembl', 4 FROM sigdb_hgnc AS h WHERE h.ensembl_id IS NOT NULL
)
SELECT b.name, b.symbol, b.source, b.rank, best.n_genes > 1 AS is_ambiguous
FROM borne AS b
JOIN (
    SELECT c.name, min(c.rank) AS rank, arg_min(c.n_genes, c.rank) AS n_genes
    FROM (SELECT o.name, o.rank, count(*) AS n_genes FROM borne AS o GROUP BY o.name, o.rank) AS c
    GROUP BY c.name
) AS best ON b.name = best.name AND b.rank = best.rank;
