-- name: check_genes
-- What each name means in the atlas.
FROM check_genes($genes)
-- name: top_genes
-- The genes that matter most to a group of cells.
SELECT gene, score, rank, fraction_nonzero, n_cells, n_measured
FROM gene_importance(cell_type := $cell_type, disease := $disease, tissue := $tissue, study := $study)
ORDER BY rank, gene
LIMIT $rows
