-- run_check(run, signed) -> TABLE (_error)
-- Internal: one row with NULL, or an error if there is no such run (or no run at all), or if signs are requested and the
-- scores of the run have none; or if the setting default_collation makes names equal that differ in case or accents. Used like
-- signature_check.
-- Units:   none.
-- Example: SELECT _error IS NULL FROM sigdb_data.run_check('toy-model-ig', true);  --> true

CREATE OR REPLACE MACRO sigdb_data.run_check(run, signed) AS TABLE
SELECT CASE
    WHEN 'a' = 'A' OR 'a' = 'á'
        THEN error('The setting default_collation makes different names equal. RESET default_collation.')
    WHEN n._n_runs = 0 THEN error('This atlas has no attributions yet. Ingest a study first.')
    WHEN n._n_found = 0 THEN error('There is no run ''' || run::VARCHAR || ''' in this atlas. It has: ' || n._runs || '.')
    WHEN signed AND n._unsigned IS NOT NULL
        THEN error('The scores of run ''' || n._unsigned || ''' are absolute values, without signs. Omit signed := true.')
END AS _error
FROM (
    SELECT
        count(*) AS _n_runs,
        string_agg(q.run, ', ' ORDER BY q.run_id ASC) AS _runs,
        (SELECT count(*) FROM sigdb_data.run_of(run)) AS _n_found,
        (
            SELECT max(s.run)
            FROM sigdb_data.attribution_runs AS s JOIN sigdb_data.run_of(run) AS o ON s.run_id = o._run
            WHERE NOT s.is_signed
        ) AS _unsigned
    FROM sigdb_data.attribution_runs AS q
) AS n;
