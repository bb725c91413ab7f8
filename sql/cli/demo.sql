-- name: count_study
-- The number of studies with the name $study: 0 or 1.
SELECT count(*) FROM sigdb_data.studies WHERE study = $study;

-- name: signature_by_type
-- The score of the signature $name by cell type within each study, for types of at least $min_cells cells.
-- n_measured: the number of genes that the study measured, of the n_genes that the model knows. A score from few genes
-- says little.
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

-- name: top_genes
-- The $n genes with the highest mean attribution over all cells of the types $cell_types, with their mean in all other
-- cells. Read from the cube.
SELECT
    g.symbol AS gene,
    sum(a.sum_abs) FILTER (a.is_in) / any_value(n.n_in) AS score,
    sum(a.sum_abs) FILTER (NOT a.is_in) / any_value(n.n_out) AS elsewhere,
    sum(a.n_nonzero) FILTER (a.is_in) / any_value(n.n_in) AS fraction_nonzero
FROM (
    SELECT q.gene_id, q.sum_abs, q.n_nonzero, coalesce(list_contains($cell_types, q.cell_type), false) AS is_in
    FROM attribution_summary AS q
) AS a
JOIN genes AS g ON a.gene_id = g.gene_id
CROSS JOIN (
    SELECT
        sum(q.n_cells) FILTER (list_contains($cell_types, q.cell_type)) AS n_in,
        sum(q.n_cells) FILTER (NOT coalesce(list_contains($cell_types, q.cell_type), false)) AS n_out
    FROM group_sizes AS q
) AS n
GROUP BY g.symbol
ORDER BY score DESC
LIMIT $n;

-- name: paste_scores
-- The mean score of a gene list, by study and cell type.
SELECT study, cell_type, count(*) AS cells,
       avg(signature_score(cell_id, ['S100A8', 'S100A12', 'VCAN', 'CD163'])) AS score
FROM cells GROUP BY ALL ORDER BY score DESC LIMIT 5;

-- name: paste_donors
-- The mean score of a library signature in tumour and adjacent normal tissue, by donor.
SELECT donor, avg(score) FILTER (tissue = 'tumour') AS tumour,
       avg(score) FILTER (tissue = 'normal adjacent') AS normal_adjacent
FROM signature_scores(['HALLMARK_INTERFERON_GAMMA_RESPONSE'], missing := 'ignore') JOIN cells USING (cell_id)
WHERE study = 'wu2020_tcell' GROUP BY donor
HAVING tumour IS NOT NULL AND normal_adjacent IS NOT NULL ORDER BY donor;

-- name: paste_genes
-- What gene names mean in the atlas.
SELECT * FROM check_genes(['FAM65B', 'CD20', 'ENSG00000143546.9', 's100a9', 'S100A88']);
