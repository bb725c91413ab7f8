-- name: resolve_model_genes
-- Make the table sigdb_model_genes: the symbol of each name of a gene list ($names), and its gene of the atlas, if any.
-- A name means the atlas gene with that symbol, or else the atlas gene with the same approved symbol, unless another
-- name of the list matches that gene better. An Ensembl id that HGNC has gets the approved symbol, unless the list
-- contains that symbol too. The version of an Ensembl id is ignored.
CREATE OR REPLACE TEMP TABLE sigdb_model_genes AS
SELECT
    k.position, k.name, k.symbol, k.approved,
    CASE WHEN k.n_claims = 1 THEN k.gene_id END AS gene_id
FROM (
    SELECT
        j.*,
        row_number() OVER (PARTITION BY j.gene_id ORDER BY j.is_exact DESC, j.position ASC) AS n_claims
    FROM (
        SELECT
            i.position, i.name, i.symbol, i.approved,
            coalesce(g.gene_id, a.gene_id) AS gene_id,
            g.gene_id IS NOT NULL AS is_exact
        FROM (
            SELECT
                n.position, n.name, h.symbol AS approved,
                CASE
                    WHEN
                        row_number() OVER (
                            PARTITION BY coalesce(e.symbol, n.plain)
                            ORDER BY n.name <> coalesce(e.symbol, n.plain) ASC, n.position ASC
                        ) = 1
                        THEN coalesce(e.symbol, n.plain)
                    ELSE n.name
                END AS symbol
            FROM (
                SELECT
                    m.name, m.position,
                    CASE
                        WHEN regexp_matches(m.name, '^ENS[A-Z]*G[0-9]+[.][0-9]+$', 'i') THEN split_part(m.name, '.', 1)
                        ELSE m.name
                    END AS plain
                FROM (SELECT unnest($names) AS name, generate_subscripts($names, 1) AS position) AS m
            ) AS n
            LEFT JOIN sigdb_hgnc_names AS h ON n.plain = h.name AND NOT h.is_ambiguous
            LEFT JOIN sigdb_hgnc_names AS e ON n.plain = e.name AND NOT e.is_ambiguous AND e.source = 'ensembl'
        ) AS i
        LEFT JOIN sigdb_data.genes AS g ON i.symbol = g.symbol
        LEFT JOIN (
            SELECT q.name, min(q.gene_id) AS gene_id FROM sigdb_data.gene_names AS q
            WHERE q.source = 'approved' OR q.source = 'symbol' GROUP BY q.name
        ) AS a ON i.approved = a.name
    ) AS j
) AS k;

-- name: add_genes
-- Add the genes of sigdb_model_genes that the atlas lacks, and their names.
INSERT INTO sigdb_data.genes (gene_id, symbol, ensembl_id)
SELECT
    (SELECT coalesce(max(q.gene_id) + 1, 0) FROM sigdb_data.genes AS q) + row_number() OVER (ORDER BY i.position ASC) - 1,
    i.symbol,
    e.name
FROM sigdb_model_genes AS i
LEFT JOIN (
    SELECT h.symbol, min(h.name) AS name FROM sigdb_hgnc_names AS h WHERE h.source = 'ensembl' GROUP BY h.symbol
) AS e ON i.approved = e.symbol
WHERE i.gene_id IS NULL;

INSERT INTO sigdb_data.gene_names (name, name_lower, gene_id, source, rank, is_ambiguous)
SELECT g.symbol, lower(g.symbol), g.gene_id, 'symbol', 0, false
FROM sigdb_model_genes AS i JOIN sigdb_data.genes AS g ON i.symbol = g.symbol
WHERE i.gene_id IS NULL;

-- Two genes of the atlas share an approved symbol if a list has both the old and the new name. The names of HGNC then go
-- to the gene that has the approved symbol as its symbol, or else to the first.
INSERT INTO sigdb_data.gene_names (name, name_lower, gene_id, source, rank, is_ambiguous)
SELECT h.name, lower(h.name), i.gene_id, h.source, h.rank, h.is_ambiguous
FROM (
    SELECT n.approved, g.gene_id, g.symbol
    FROM sigdb_model_genes AS n JOIN sigdb_data.genes AS g ON n.symbol = g.symbol
    WHERE n.gene_id IS NULL
    QUALIFY row_number() OVER (PARTITION BY n.approved ORDER BY g.symbol = n.approved DESC, g.gene_id ASC) = 1
) AS i
JOIN sigdb_hgnc_names AS h ON i.approved = h.symbol AND h.name <> i.symbol
WHERE h.is_ambiguous
    OR NOT EXISTS (SELECT 1 FROM sigdb_data.gene_names AS q WHERE q.name = h.name AND q.source = h.source);

-- name: model_gene_ids
-- The gene_id of each name of the list, in the order of the list. Run it after add_genes.
SELECT coalesce(i.gene_id, g.gene_id)
FROM sigdb_model_genes AS i
LEFT JOIN sigdb_data.genes AS g ON i.symbol = g.symbol
ORDER BY i.position ASC;

-- name: resolve_columns
-- The gene of the atlas that each column name ($names) of a study means. Case matters; ambiguous names mean no gene.
-- Returns (column number from 0, gene_id, rank), with the rank of sigdb_data.gene_names.
SELECT CAST(r._position - 1 AS BIGINT), r._gene, r._rank
FROM sigdb_data.resolve_genes($names, NULL, NULL) AS r
WHERE r._gene IS NOT NULL AND r._rank < 10;

-- name: unknown_genes
-- The genes of the model $model_id for which HGNC has no name.
SELECT g.symbol
FROM sigdb_data.model_genes AS m JOIN sigdb_data.genes AS g ON m.gene_id = g.gene_id
WHERE m.model_id = $model_id
    AND NOT EXISTS (SELECT 1 FROM sigdb_data.gene_names AS n WHERE n.gene_id = g.gene_id AND n.source NOT IN ('symbol', 'other'))
ORDER BY m.position ASC;
