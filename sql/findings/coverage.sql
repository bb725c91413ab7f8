-- coverage: for each study, how many genes of a signature it measured, out of the genes that the run's model knows.
-- n_asked is the number of names that were given. n_unread: the genes that the run did not read in many of the cells that
-- express them (see unread_terms); NULL if it is not recorded for the study. The report replaces is_chosen by the
-- condition that chooses cells: only their studies count.
SELECT
    s.study, len($genes) AS n_asked, c._n_genes AS n_genes, c._n_measured AS n_measured,
    CASE WHEN r.is_recorded THEN coalesce(u.n, 0) END AS n_unread, s.n_cells, s.n_samples
FROM studies AS s
JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS c ON s.study_id = c._study
LEFT JOIN (
    SELECT t._study AS study_id, count(*) FILTER (t._is_many) AS n
    FROM sigdb_data.unread_terms($genes, $weights, $run, NULL) AS t GROUP BY t._study
) AS u ON s.study_id = u.study_id
LEFT JOIN (
    SELECT f.study, a.n_read IS NOT NULL AS is_recorded
    FROM (SELECT d.study, min(d.cell_id) AS cell_id FROM cells AS d GROUP BY d.study) AS f
    JOIN attributed_cells AS a ON f.cell_id = a.cell_id
    JOIN sigdb_data.run_of($run) AS o ON a.run_id = o._run
) AS r ON s.study = r.study
WHERE s.study IN (SELECT q.study FROM cells AS q WHERE is_chosen)
ORDER BY s.study ASC;
