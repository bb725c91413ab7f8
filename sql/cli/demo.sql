-- name: count_study
-- The number of studies with the name $study: 0 or 1.
SELECT count(*) FROM sigdb_data.studies WHERE study = $study;

-- name: signature_by_type
-- The signature $name by cell type within each study, for types of at least $min_cells cells: the mean score, and z and the
-- hit rate, which compare each cell with matched control genes. n_measured: the number of genes that the study measured, of
-- the n_genes that the model knows. A score from few genes says little.
SELECT
    c.study,
    coalesce(c.cell_type, '(none)') AS cell_type,
    count(*) AS cells,
    avg(h.score) AS score,
    avg(h.z) AS z,
    avg(h.is_hit::INTEGER) AS hit_rate,
    any_value(k._n_measured) AS n_measured,
    any_value(k._n_genes) AS n_genes
FROM signature_hits(signature_genes($name), missing := 'ignore') AS h
JOIN cells AS c ON h.cell_id = c.cell_id
JOIN studies AS s ON c.study = s.study
JOIN sigdb_data.study_coverage(signature_genes($name), NULL, NULL, NULL) AS k ON s.study_id = k._study
GROUP BY c.study, c.cell_type
HAVING count(*) >= $min_cells
ORDER BY c.study ASC, z DESC;

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
-- The mean score, z and hit rate of a gene list, by study and cell type.
SELECT study, cell_type, count(*) AS cells, avg(score) AS score, avg(z) AS z, avg(is_hit::INT) AS hit_rate
FROM signature_hits(['S100A8', 'S100A12', 'VCAN', 'CD163']) JOIN cells USING (cell_id)
GROUP BY ALL HAVING cells >= 10 ORDER BY z DESC LIMIT 5;

-- name: paste_donors
-- The mean score of a library signature in tumour and adjacent normal tissue, by donor.
SELECT donor, avg(score) FILTER (tissue = 'tumour') AS tumour,
       avg(score) FILTER (tissue = 'normal adjacent') AS normal_adjacent
FROM signature_scores(['HALLMARK_INTERFERON_GAMMA_RESPONSE'], missing := 'ignore') JOIN cells USING (cell_id)
WHERE study = 'wu2020_tcell' GROUP BY donor
HAVING tumour IS NOT NULL AND normal_adjacent IS NOT NULL ORDER BY donor ASC;

-- name: paste_genes
-- What gene names mean in the atlas.
SELECT * FROM check_genes(['FAM65B', 'CD20', 'ENSG00000143546.9', 's100a9', 'S100A88']);
