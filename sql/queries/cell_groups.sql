-- cell_groups: the sample and cell type of the cells $first to $last, and the number of each such group, in order.
SELECT
    c.sample_id, c.cell_type,
    (dense_rank() OVER (ORDER BY c.sample_id, c.cell_type) - 1)::INTEGER AS number
FROM sigdb_data.cell_data AS c
WHERE c.cell_id BETWEEN $first AND $last
ORDER BY c.cell_id;
