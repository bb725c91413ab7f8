-- find_run: the runs of a model with exactly these settings.
SELECT r.run_id, r.run
FROM sigdb_data.attribution_runs AS r
WHERE r.model_id = $model_id
    AND r.method = $method
    AND r.n_steps IS NOT DISTINCT FROM $n_steps
    AND r.baseline = $baseline
    AND r.summation = $summation
    AND r.target_sum = $target_sum
ORDER BY r.run_id;
