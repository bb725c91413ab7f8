-- attribution_runs -> VIEW
-- One row per run: model, method, baseline, steps, versions, device. Every stored score belongs to one run.
-- Example: SELECT method FROM attribution_runs WHERE run_id = 0;  --> ig

CREATE OR REPLACE VIEW attribution_runs AS
FROM sigdb_data.attribution_runs;
