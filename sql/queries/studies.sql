-- studies: what an atlas holds, a row a study.
SELECT study, n_cells AS cells, n_samples AS samples, n_genes AS genes_measured, counts_from, source, licence
FROM studies
ORDER BY study_id;
