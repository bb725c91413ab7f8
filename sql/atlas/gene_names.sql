-- name: make_hgnc_names
-- Make the table sigdb_hgnc_names: every name that HGNC has for a gene, with the gene's approved symbol.
-- Reads sigdb_hgnc (symbol, ensembl_id, previous, alias). A name keeps only its best meaning: if it is an alias of one
-- gene and the approved symbol of another, it means the second gene, even if the atlas does not have that gene.
-- is_ambiguous: several genes have the name with the same rank.
CREATE OR REPLACE TEMP TABLE sigdb_hgnc_names AS
WITH gene_names AS MATERIALIZED (
    SELECT h.symbol AS name, h.symbol, 'approved' AS source, 1 AS rank FROM sigdb_hgnc AS h
    UNION ALL
    SELECT unnest(list_distinct(h.previous)), h.symbol, 'previous', 2 FROM sigdb_hgnc AS h
    UNION ALL
    SELECT unnest(list_distinct(h.alias)), h.symbol, 'alias', 3 FROM sigdb_hgnc AS h
    UNION ALL
    SELECT h.ensembl_id, h.symbol, 'ensembl', 4 FROM sigdb_hgnc AS h WHERE h.ensembl_id IS NOT NULL
)
SELECT b.name, b.symbol, b.source, b.rank, best.n_genes > 1 AS is_ambiguous
FROM gene_names AS b
JOIN (
    SELECT c.name, min(c.rank) AS rank, arg_min(c.n_genes, c.rank) AS n_genes
    FROM (SELECT o.name, o.rank, count(*) AS n_genes FROM gene_names AS o GROUP BY o.name, o.rank) AS c
    GROUP BY c.name
) AS best ON b.name = best.name AND b.rank = best.rank;

-- name: delete_other_names
-- Forget the names of genes that the atlas lacks. add_other_names finds them again.
DELETE FROM sigdb_data.gene_names WHERE source = 'other';

-- name: add_other_names
-- Add the names in sigdb_hgnc_names that differ only in case from a name in the atlas, but mean a gene that the atlas
-- lacks. Such a name must not mean the gene of the atlas: RHO is not RHOD, which has the alias Rho. gene_id is the gene
-- of the atlas with which it could be confused.
INSERT INTO sigdb_data.gene_names (name, name_lower, gene_id, source, rank, is_ambiguous)
SELECT DISTINCT h.name, n.name_lower, n.gene_id, 'other', h.rank, h.is_ambiguous
FROM sigdb_hgnc_names AS h
JOIN (SELECT q.name_lower, min(q.gene_id) AS gene_id FROM sigdb_data.gene_names AS q GROUP BY q.name_lower) AS n
    ON lower(h.name) = n.name_lower
WHERE h.name NOT IN (SELECT q.name FROM sigdb_data.gene_names AS q)
ORDER BY h.name ASC;
