-- last_cell: the highest cell_id that the run of id $run has attributed; NULL where there is none.
SELECT max(r.cell_id) FROM sigdb_data.attributed_cells AS r WHERE r.run_id = $run;
