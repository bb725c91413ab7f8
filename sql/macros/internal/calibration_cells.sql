-- calibration_cells(run) -> TABLE (_cell, _study, _depth, _first, _n_sets)
-- Internal: the cells in which control sets are scored (see calibration_sets), and the sets that each cell scores: _n_sets of
-- the 200, counted on from _first, in a circle. A stratum (see cell_depths) of many cells gives about 200 of them, spread
-- evenly over the ids, with 25 sets each. A stratum of few cells gives all, with up to 200 sets each. So there are about 5000
-- scores per stratum. The choice depends on nothing but the ids of the cells.
-- Units:   none.
-- Example: SELECT _n_sets FROM sigdb_data.calibration_cells(NULL) WHERE _cell = 0;  --> 200

CREATE OR REPLACE MACRO sigdb_data.calibration_cells(run) AS TABLE
SELECT
    c._cell, c._study, c._depth, c._hash % 200 AS _first,
    CASE WHEN c._n <= 25 THEN 200 WHEN c._n < 200 THEN ceil(5000.0::DOUBLE / c._n) ELSE 25 END::BIGINT AS _n_sets
FROM (
    SELECT
        d._cell, d._study, d._depth, count(*) OVER (PARTITION BY d._study, d._depth) AS _n,
        (d._cell::BIGINT * 1103515245 + 12345) % 2147483647 AS _hash
    FROM sigdb_data.cell_depths(run) AS d
) AS c
WHERE c._hash * c._n <= 200 * 2147483647::BIGINT;
