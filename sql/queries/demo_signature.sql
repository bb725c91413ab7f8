-- demo_signature: the score of signature $name by cell type within each study, and how many of its genes the study
-- measured: a score from few of them says little.
SELECT
    c.study,
    coalesce(c.cell_type, '(none)') AS cell_type,
    count(*) AS cells,
    avg(s.score) AS score,
    any_value(m.n_measured) AS n_measured,
    any_value(m.n_genes) AS n_genes
FROM cells AS c
JOIN signature_score(signature_genes($name), missing := 'ignore') AS s ON c.cell_id = s.cell_id
JOIN (
    SELECT t.study, count(g.gene_id) AS n_measured, len(signature_genes($name)) AS n_genes
    FROM studies AS t
    LEFT JOIN (
        SELECT q.study_id, q.gene_id
        FROM study_genes AS q
        WHERE q.gene_id IN (SELECT k.gene_id FROM check_genes(signature_genes($name)) AS k)
    ) AS g ON t.study_id = g.study_id
    GROUP BY t.study
) AS m ON c.study = m.study
GROUP BY c.study, c.cell_type
HAVING count(*) >= $min_cells
ORDER BY c.study, score DESC;
