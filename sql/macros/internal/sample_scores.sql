-- sample_scores(genes, weights, agg, missing, run, signed, measured_only, min_coverage)
--   -> TABLE (_study, _name, _donor, _tissue, _disease, _type, _n, _score, _n_genes, _n_measured)
-- Internal: the rows of signature_by_sample. Views call this macro, because a macro of the user cannot replace it.
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for signature_by_sample.
-- Example: SELECT _score FROM sigdb_data.sample_scores(['CD3E'], NULL, 'mean', 'error', NULL, false, false, 0) WHERE _type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.sample_scores(
    genes, weights, agg, missing, run, signed, measured_only, min_coverage
) AS TABLE
SELECT
    s._study, s._name, s._donor, s._tissue, s._disease, n._type, n._n,
    coalesce(v._sum, 0) / n._n * CASE WHEN measured_only AND agg = 'mean' THEN k._factor ELSE 1 END AS _score,
    k._n_genes, k._n_measured
FROM sigdb_data.chosen_groups(NULL, NULL, NULL, NULL, run) AS n
JOIN sigdb_data.sample_labels() AS s ON n._sample = s._sample
JOIN sigdb_data.study_coverage(genes, weights, run, NULL) AS k ON s._study_id = k._study
LEFT JOIN (
    SELECT u._sample, u._cell_type, sum(u._value) AS _sum
    FROM sigdb_data.summary_values(genes, weights, agg, run, signed) AS u
    GROUP BY u._sample, u._cell_type
) AS v ON n._sample = v._sample AND n._type IS NOT DISTINCT FROM v._cell_type
WHERE k._n_measured::DOUBLE / k._n_genes >= coalesce(min_coverage, 0)::DOUBLE
    AND (SELECT c._error FROM sigdb_data.signature_check(genes, weights, agg, missing, run, signed, NULL) AS c) IS NULL
    AND (SELECT e._error FROM sigdb_data.coverage_check(min_coverage) AS e) IS NULL;
