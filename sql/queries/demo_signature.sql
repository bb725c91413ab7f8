-- demo_signature: the score of signature $name by cell type within each study, for types of at least $min_cells cells,
-- with how many of the genes that the model knows the study measured: a score from few of them says little.
SELECT
    study,
    coalesce(cell_type, '(none)') AS cell_type,
    sum(n_cells)::BIGINT AS cells,
    sum(score * n_cells) / sum(n_cells) AS score,
    any_value(n_measured) AS n_measured,
    any_value(n_genes) AS n_genes
FROM signature_by_sample(signature_genes($name), missing := 'ignore')
GROUP BY study, cell_type
HAVING sum(n_cells) >= $min_cells
ORDER BY study, score DESC;
