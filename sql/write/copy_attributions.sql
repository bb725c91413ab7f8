-- copy_attributions: the attributions of a range of genes, in order, into the new file; rounded to $decimals, unless NULL.
-- A score that would become 0 stays as it is, since 0 is not stored.
INSERT INTO sigdb_new.sigdb_data.attributions (run_id, gene_id, cell_id, score)
SELECT
    a.run_id, a.gene_id, a.cell_id,
    CASE
        WHEN $decimals IS NULL OR round(a.score::DOUBLE, $decimals::INTEGER) = 0 THEN a.score
        ELSE round(a.score::DOUBLE, $decimals::INTEGER)
    END
FROM sigdb_data.attributions AS a
WHERE a.run_id = $run_id AND a.gene_id BETWEEN $first AND $last
ORDER BY a.gene_id, a.cell_id;
