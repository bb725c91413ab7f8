-- score_terms: the genes of a score, and what each attribution is multiplied with. What was asked is checked by score_check.
SELECT t._run AS run, t._gene AS gene, t._weight AS weight
FROM sigdb_data.signature_terms($genes, $weights, $agg, $run, $signatures) AS t
ORDER BY t._gene;
