-- attributed_cells: the cells that the run of id $run has attributed.
SELECT r.cell_id FROM sigdb_data.attributed_cells AS r WHERE r.run_id = $run;
