-- completeness: a cell with attributions has a finite scale and a finite completeness delta; its error is 0 or more.
-- A cell to which nothing was attributed has no scale and no estimated error. A cell whose scores were computed
-- elsewhere has neither delta nor error.
SELECT count(*), min('run ' || r.run_id || ', cell ' || r.cell_id || ': scale ' || coalesce(r.attribution_scale::VARCHAR, 'NULL')
    || ', delta ' || coalesce(r.completeness_delta::VARCHAR, 'NULL')
    || ', error ' || coalesce(r.integration_error::VARCHAR, 'NULL'))
FROM sigdb_data.attributed_cells AS r
LEFT JOIN (
    SELECT q.run_id
    FROM sigdb_data.attribution_runs AS q JOIN sigdb_data.models AS m ON q.model_id = m.model_id
    WHERE m.architecture = 'precomputed'
) AS p ON r.run_id = p.run_id
WHERE CASE
        WHEN p.run_id IS NULL THEN r.attribution_scale IS NOT NULL AND r.completeness_delta IS NULL
        ELSE r.completeness_delta IS NOT NULL OR r.integration_error IS NOT NULL
    END
    OR (r.attribution_scale IS NULL AND r.integration_error IS NOT NULL)
    OR NOT isfinite(r.attribution_scale) OR r.attribution_scale <= 0
    OR NOT isfinite(r.completeness_delta)
    OR NOT isfinite(r.integration_error) OR r.integration_error < 0;
