-- set_signs: record whether the scores of the run $run_id have signs.
UPDATE sigdb_data.attribution_runs SET is_signed = $is_signed WHERE run_id = $run_id;
