-- completeness: a cell has a scale and a completeness delta, both finite, or (nothing was attributed to it) neither.
SELECT count(*), min('run ' || r.run_id || ', cell ' || r.cell_id || ': scale ' || coalesce(r.attribution_scale::VARCHAR, 'NULL')
    || ', delta ' || coalesce(r.completeness_delta::VARCHAR, 'NULL'))
FROM sigdb_data.attributed_cells AS r
WHERE (r.attribution_scale IS NULL) <> (r.completeness_delta IS NULL)
    OR NOT isfinite(r.attribution_scale) OR NOT isfinite(r.completeness_delta) OR r.attribution_scale <= 0;
