-- run_cells(run) -> TABLE (_cell)
-- Internal: the cells that a run has attributed.
-- Units:   none. No rows if the run does not exist.
-- Example: SELECT count(*) FROM sigdb_data.run_cells(NULL);  --> 3

CREATE OR REPLACE MACRO sigdb_data.run_cells(run) AS TABLE
SELECT q.cell_id AS _cell
FROM sigdb_data.attributed_cells AS q JOIN sigdb_data.run_of(run) AS o ON q.run_id = o._run;
