-- count_genes: how many genes the atlas has, and how many of sigdb_incoming_genes are new to it.
SELECT
    (SELECT count(*) FROM sigdb_data.genes) AS n_known,
    (SELECT count(*) FROM sigdb_incoming_genes AS i WHERE i.gene_id IS NULL) AS n_new;
