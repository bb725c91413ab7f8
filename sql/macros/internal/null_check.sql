-- null_check(n_controls, seed, n_bins) -> TABLE (_error)
-- Internal: one row with NULL, or an error about the parameters of the control sets. Used like signature_check.
-- Units:   none.
-- Example: SELECT _error IS NULL FROM sigdb_data.null_check(1000, 0, 25);  --> true

CREATE OR REPLACE MACRO sigdb_data.null_check(n_controls, seed, n_bins) AS TABLE
SELECT CASE
    WHEN a._n IS NULL OR NOT a._n BETWEEN 2 AND 1000000
        THEN error('n_controls must be from 2 to 1000000, not ' || coalesce(a._n::VARCHAR, 'NULL') || '.')
    WHEN a._bins IS NULL OR a._bins < 1
        THEN error('n_bins must be 1 or more, not ' || coalesce(a._bins::VARCHAR, 'NULL') || '.')
    WHEN a._seed IS NULL THEN error('seed must not be NULL.')
END AS _error
FROM (SELECT n_controls AS _n, seed AS _seed, n_bins AS _bins) AS a;
