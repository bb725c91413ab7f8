-- top_genes: the $n genes of highest mean attribution in a group of cells (see gene_importance), and genes that tie with the last.
SELECT i.*
FROM gene_importance(
    cell_type := $cell_type, disease := $disease, tissue := $tissue, study := $study, run := $run, signed := $signed
) AS i
WHERE i.rank <= $n
ORDER BY i.rank ASC, i.gene ASC;
