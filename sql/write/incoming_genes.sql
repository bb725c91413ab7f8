-- incoming_genes: what each name of a gene list ($names) is, and which gene of the atlas it is already.
-- A name is the atlas gene of that symbol, or else the atlas gene with the same approved symbol, unless another name of
-- the list is that gene more exactly. An Ensembl id that HGNC knows takes the approved symbol for its own.
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
                    WHEN h.source = 'ensembl' AND row_number() OVER (PARTITION BY h.symbol ORDER BY n.position) = 1
                        THEN h.symbol
                    ELSE n.name
                END AS symbol
            FROM (SELECT unnest($names) AS name, generate_subscripts($names, 1) AS position) AS n
            LEFT JOIN sigdb_hgnc_names AS h ON n.name = h.name AND NOT h.is_ambiguous
        ) AS i
        LEFT JOIN sigdb_data.genes AS g ON i.symbol = g.symbol
        LEFT JOIN (
            SELECT q.name, min(q.gene_id) AS gene_id FROM sigdb_data.gene_names AS q
            WHERE q.source = 'approved' OR q.source = 'symbol' GROUP BY q.name
        ) AS a ON i.approved = a.name
    ) AS j
) AS k;
