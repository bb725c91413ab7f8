-- coverage_check(min_coverage) -> TABLE (_error)
-- Internal: one row with NULL, or an error if min_coverage is not from 0 to 1. Used like signature_check.
-- Units:   none.
-- Example: SELECT _error IS NULL FROM sigdb_data.coverage_check(0.5);  --> true

CREATE OR REPLACE MACRO sigdb_data.coverage_check(min_coverage) AS TABLE
SELECT CASE
    WHEN m._least IS NULL OR NOT m._least BETWEEN 0 AND 1
        THEN error('min_coverage must be from 0 to 1, not ' || coalesce(m._least::VARCHAR, 'NULL') || '.')
END AS _error
FROM (SELECT min_coverage AS _least) AS m;
