-- name: score_check
-- Raises an error if a score of $genes, or of the library's $signatures, cannot be computed with these options.
SELECT k._error FROM sigdb_data.signature_check($genes, $weights, $agg, $missing, $run, $signed, $signatures) AS k;

-- name: score_terms
-- The genes of a score, and the number that each attribution is multiplied by. score_check has checked the
-- parameters.
SELECT t._run AS run, t._gene AS gene, t._weight AS weight
FROM sigdb_data.signature_terms($genes, $weights, $agg, $run, NULL) AS t
ORDER BY t._gene ASC;

-- name: score_coverage
-- For each study, the factor that turns a mean over all genes into the mean over the genes that the study measured.
-- NULL if it measured none of them.
SELECT k._study AS study, k._factor AS factor
FROM sigdb_data.study_coverage($genes, $weights, $run, NULL) AS k
ORDER BY k._study ASC;

-- name: last_cell
-- The highest cell_id that the run with id $run has attributed. NULL if it has attributed no cell.
SELECT max(r.cell_id) FROM sigdb_data.attributed_cells AS r WHERE r.run_id = $run;

-- name: attributed_cells
-- The cells that the run with id $run has attributed.
SELECT r.cell_id FROM sigdb_data.attributed_cells AS r WHERE r.run_id = $run;

-- name: stored_scores
-- The attributions of the run with id $run. sigdb.score adds a condition on the genes.
SELECT a.gene_id, a.cell_id::BIGINT AS cell_id, a.score
FROM sigdb_data.attributions AS a
WHERE a.run_id = $run;

-- name: cell_studies
-- The study of each cell up to the cell $last.
SELECT c.cell_id, s.study_id
FROM sigdb_data.cell_data AS c
JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
WHERE c.cell_id <= $last;
