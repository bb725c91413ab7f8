-- coverage: for each study, how many genes of a signature it measured, out of the genes that the run's model knows.
-- n_asked is the number of names that were given. The report replaces is_chosen by the condition that chooses cells: only their
-- studies count.
SELECT
    s.study, len($genes) AS n_asked, c._n_genes AS n_genes, c._n_measured AS n_measured, s.n_cells, s.n_samples
FROM studies AS s
JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS c ON s.study_id = c._study
WHERE s.study IN (SELECT q.study FROM cells AS q WHERE is_chosen)
ORDER BY s.study ASC;
