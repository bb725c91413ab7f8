-- attributed_cells: the cells that the run $run has attributed, in order.
SELECT q.cell_id
FROM sigdb_data.attributed_cells AS q JOIN sigdb_data.run_of($run) AS o ON q.run_id = o._run
ORDER BY q.cell_id;
