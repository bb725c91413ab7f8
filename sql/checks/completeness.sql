-- completeness: a cell has a finite scale and a finite completeness delta, or neither if nothing was attributed to it.
-- A cell whose scores were computed elsewhere has no delta.
SELECT count(*), min('run ' || r.run_id || ', cell ' || r.cell_id || ': scale ' || coalesce(r.attribution_scale::VARCHAR, 'NULL')
    || ', delta ' || coalesce(r.completeness_delta::VARCHAR, 'NULL'))
FROM sigdb_data.attributed_cells AS r
LEFT JOIN (
    SELECT q.run_id
    FROM sigdb_data.attribution_runs AS q JOIN sigdb_data.models AS m ON q.model_id = m.model_id
    WHERE m.architecture = 'precomputed'
) AS p ON r.run_id = p.run_id
WHERE CASE
        WHEN p.run_id IS NULL THEN (r.attribution_scale IS NULL) <> (r.completeness_delta IS NULL)
        ELSE r.completeness_delta IS NOT NULL
    END
    OR NOT isfinite(r.attribution_scale) OR NOT isfinite(r.completeness_delta) OR r.attribution_scale <= 0;
