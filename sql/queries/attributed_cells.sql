-- attributed_cells: the cells that the run $run has attributed, in order.
SELECT c._cell AS cell_id
FROM sigdb_data.run_cells($run) AS c
ORDER BY c._cell;
