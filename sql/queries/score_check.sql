-- score_check: raises if a score cannot be computed as asked.
SELECT k._error FROM sigdb_data.signature_check($genes, $weights, $agg, $missing, $run, NULL) AS k;
