-- add_genes: the genes of sigdb_incoming_genes that the atlas lacks, and their names.
INSERT INTO sigdb_data.genes (gene_id, symbol, ensembl_id)
SELECT
    (SELECT coalesce(max(q.gene_id) + 1, 0) FROM sigdb_data.genes AS q) + row_number() OVER (ORDER BY i.position) - 1,
    i.symbol,
    e.name
FROM sigdb_incoming_genes AS i
LEFT JOIN (
    SELECT h.symbol, min(h.name) AS name FROM sigdb_hgnc_names AS h WHERE h.source = 'ensembl' GROUP BY h.symbol
) AS e ON i.approved = e.symbol
WHERE i.gene_id IS NULL;

INSERT INTO sigdb_data.gene_names (name, name_lower, gene_id, source, rank, is_ambiguous)
SELECT g.symbol, lower(g.symbol), g.gene_id, 'symbol', 0, false
FROM sigdb_incoming_genes AS i JOIN sigdb_data.genes AS g ON i.symbol = g.symbol
WHERE i.gene_id IS NULL;

-- Where two genes of the atlas have one approved symbol (a list that holds the old and the new name), the names go to
-- the one that bears it, or the first.
INSERT INTO sigdb_data.gene_names (name, name_lower, gene_id, source, rank, is_ambiguous)
SELECT h.name, lower(h.name), i.gene_id, h.source, h.rank, h.is_ambiguous
FROM (
    SELECT n.approved, g.gene_id, g.symbol
    FROM sigdb_incoming_genes AS n JOIN sigdb_data.genes AS g ON n.symbol = g.symbol
    WHERE n.gene_id IS NULL
    QUALIFY row_number() OVER (PARTITION BY n.approved ORDER BY g.symbol = n.approved DESC, g.gene_id) = 1
) AS i
JOIN sigdb_hgnc_names AS h ON i.approved = h.symbol AND h.name <> i.symbol
WHERE h.is_ambiguous
    OR NOT EXISTS (SELECT 1 FROM sigdb_data.gene_names AS q WHERE q.name = h.name AND q.source = h.source);
