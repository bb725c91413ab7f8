-- expression_cells: the cells of $study with their depth, cell type and score, in the order of cell_id. The score is
-- NULL where a cell has none. sigdb.against_expression adds the column `marked`.
SELECT c.cell_id, c.barcode, c.n_counts, c.cell_type, s.score
FROM cells AS c
LEFT JOIN signature_score(
    $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
    measured_only := $measured_only
) AS s ON c.cell_id = s.cell_id
WHERE c.study = $study
ORDER BY c.cell_id ASC;
