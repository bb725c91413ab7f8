-- incoming_genes: what each name of a gene list ($names) is, and which gene of the atlas it is already.
-- A name is the atlas gene of that symbol, or else the atlas gene with the same approved symbol, unless another name of
-- the list is that gene more exactly. An Ensembl id that HGNC knows takes the approved symbol for its own, unless the
-- list has that too; its version is dropped.
CREATE OR REPLACE TEMP TABLE sigdb_incoming_genes AS
SELECT
    k.position, k.name, k.symbol, k.approved,
    CASE WHEN k.n_claims = 1 THEN k.gene_id END AS gene_id
FROM (
    SELECT
        j.*,
        row_number() OVER (PARTITION BY j.gene_id ORDER BY j.is_exact DESC, j.position) AS n_claims
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
                            ORDER BY n.name <> coalesce(e.symbol, n.plain), n.position
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
