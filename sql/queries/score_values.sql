-- score_values: all terms of a score, unsummed: rows (cell, value) whose sum by cell is the score. What was asked is
-- checked by score_check.
SELECT v._cell AS cell, v._value AS value
FROM sigdb_data.signature_values($genes, $weights, $agg, $run, $signed, NULL) AS v;
