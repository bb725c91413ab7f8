-- add_run: record a run; returns its id. versions: of the packages, in order.
INSERT INTO sigdb_data.attribution_runs (
    run_id, run, model_id, method, n_steps, baseline, summation, target_sum, device, versions, started
)
SELECT
    coalesce(max(q.run_id) + 1, 0), $run, $model_id, $method, $n_steps, $baseline, $summation, $target_sum, $device,
    map($packages, $versions), $started
FROM sigdb_data.attribution_runs AS q
RETURNING run_id;
