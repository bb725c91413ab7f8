-- score_coverage: what turns a mean over all genes into the mean over those that a study measured; NULL: it has none.
SELECT k._study AS study, k._factor AS factor
FROM sigdb_data.study_coverage($genes, $weights, $run, $signatures) AS k
ORDER BY k._study;
