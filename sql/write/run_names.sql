-- run_names: the name of the run $run_id, and of the atlas's default run.
SELECT r.run, i.value
FROM sigdb_data.attribution_runs AS r CROSS JOIN sigdb_data.atlas_info AS i
WHERE r.run_id = $run_id AND i.key = 'default_run';
