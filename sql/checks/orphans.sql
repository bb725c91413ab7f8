-- orphans: every row refers to a run, gene, cell, sample, study, model or signature that exists.
SELECT coalesce(sum(o.n), 0), min(o.n || ' rows of ' || o.place || ' name no ' || o.what) FILTER (o.n > 0)
FROM (
    SELECT a.place, 'gene of the run''s model' AS what, count(*) AS n
    FROM (
        SELECT DISTINCT 'attributions' AS place, q.run_id, q.gene_id FROM sigdb_data.attributions AS q
        UNION ALL
        SELECT 'unread_genes', u.run_id, u.gene_id FROM sigdb_data.unread_genes AS u
    ) AS a
    WHERE NOT EXISTS (
        SELECT 1
        FROM sigdb_data.attribution_runs AS r JOIN sigdb_data.model_genes AS g ON r.model_id = g.model_id
        WHERE r.run_id = a.run_id AND g.gene_id = a.gene_id
    )
    GROUP BY a.place
    UNION ALL
    SELECT 'attributions', 'cell that the run has attributed', count(*)
    FROM sigdb_data.attributions AS a
    ANTI JOIN sigdb_data.attributed_cells AS r ON a.run_id = r.run_id AND a.cell_id = r.cell_id
    UNION ALL
    SELECT 'attributed_cells', 'cell', count(*)
    FROM sigdb_data.attributed_cells AS r ANTI JOIN sigdb_data.cell_data AS c ON r.cell_id = c.cell_id
    UNION ALL
    SELECT 'attributed_cells', 'run', count(*)
    FROM sigdb_data.attributed_cells AS r ANTI JOIN sigdb_data.attribution_runs AS q ON r.run_id = q.run_id
    UNION ALL
    SELECT 'cell_data', 'sample', count(*)
    FROM sigdb_data.cell_data AS c ANTI JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
    UNION ALL
    SELECT 'samples', 'study', count(*)
    FROM sigdb_data.samples AS s ANTI JOIN sigdb_data.studies AS t ON s.study_id = t.study_id
    UNION ALL
    SELECT 'attribution_runs', 'model', count(*)
    FROM sigdb_data.attribution_runs AS r ANTI JOIN sigdb_data.models AS m ON r.model_id = m.model_id
    UNION ALL
    SELECT 'model_genes', 'gene', count(*)
    FROM sigdb_data.model_genes AS q ANTI JOIN sigdb_data.genes AS g ON q.gene_id = g.gene_id
    UNION ALL
    SELECT 'study_genes', 'gene', count(*)
    FROM sigdb_data.study_genes AS q ANTI JOIN sigdb_data.genes AS g ON q.gene_id = g.gene_id
    UNION ALL
    SELECT 'unread_genes', 'study', count(*)
    FROM sigdb_data.unread_genes AS u ANTI JOIN sigdb_data.studies AS t ON u.study_id = t.study_id
    UNION ALL
    SELECT 'gene_names', 'gene', count(*)
    FROM sigdb_data.gene_names AS q ANTI JOIN sigdb_data.genes AS g ON q.gene_id = g.gene_id
    UNION ALL
    SELECT 'signatures', 'signature', count(*)
    FROM sigdb_data.signatures AS q ANTI JOIN sigdb_data.signature_info AS i ON q.signature = i.signature
    UNION ALL
    SELECT 'signature_cells', 'materialised signature', count(*)
    FROM sigdb_data.signature_cells AS q
    ANTI JOIN sigdb_data.materialized_signatures AS m ON q.materialized_id = m.materialized_id
) AS o;
