-- copy_cells: copies of all cells, up to $n_cells cells, spread over the $n_times copies of their samples.
INSERT INTO sigdb_data.cell_data BY NAME
SELECT
    c.* REPLACE (
        c.cell_id + k.n * t.n_cells AS cell_id, c.sample_id + k.n % $n_times * t.n_samples AS sample_id,
        c.barcode || '-' || k.n AS barcode
    )
FROM sigdb_data.cell_data AS c
CROSS JOIN (
    SELECT
        max(o.cell_id) + 1 AS n_cells, (SELECT (max(s.sample_id) + 1) / $n_times FROM sigdb_data.samples AS s)::UINTEGER AS n_samples
    FROM sigdb_data.cell_data AS o
) AS t
CROSS JOIN range(1, $n_cells) AS k (n)
WHERE c.cell_id + k.n * t.n_cells < $n_cells AND k.n <= $n_cells // t.n_cells;
