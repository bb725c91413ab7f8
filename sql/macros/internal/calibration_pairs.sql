-- calibration_pairs(run) -> TABLE (_cell, _study, _depth, _control)
-- Internal: pairs of a cell and a control set (see calibration_sets), about 5000 for each study and depth stratum. A stratum
-- of many cells gives about 200 of them, spread evenly over the ids, with 25 sets each. A stratum of few cells gives all,
-- with up to 200 sets each. The choice depends on nothing but the ids of the cells.
-- Units:   none.
-- Example: SELECT count(*) FROM sigdb_data.calibration_pairs(NULL) WHERE _cell = 0;  --> 200

CREATE OR REPLACE MACRO sigdb_data.calibration_pairs(run) AS TABLE
SELECT c._cell, c._study, c._depth, (c._hash + i._i) % 200 AS _control
FROM (
    SELECT
        d._cell, d._study, d._depth, count(*) OVER (PARTITION BY d._study, d._depth) AS _n,
        (d._cell::BIGINT * 1103515245 + 12345) % 2147483647 AS _hash
    FROM sigdb_data.cell_depths(run) AS d
) AS c
JOIN (SELECT unnest(range(200))::BIGINT AS _i) AS i ON i._i < least(200, ceil(5000 / least(c._n, 200)))
WHERE c._hash * c._n <= 200 * 2147483647::BIGINT;
