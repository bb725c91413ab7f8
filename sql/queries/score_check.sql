-- score_check: raises if a score cannot be computed as asked, of $genes or of the library's $signatures.
SELECT k._error FROM sigdb_data.signature_check($genes, $weights, $agg, $missing, $run, $signed, $signatures) AS k;
