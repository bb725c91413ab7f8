-- name: score_cells
-- The score of $genes in each cell, highest first.
SELECT s.cell_id, c.study, c.sample, c.barcode, c.cell_type, s.score
FROM cells AS c
JOIN signature_score(
    $genes, weights := $weights, agg := $agg, missing := $missing, run := $run, signed := $signed,
    measured_only := $measured_only
) AS s
    ON c.cell_id = s.cell_id
ORDER BY s.score DESC NULLS LAST, s.cell_id ASC;

-- name: found
-- The rows of a finding, which is registered as found.
FROM found;
