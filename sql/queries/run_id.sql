-- run_id: the id of the run that $run means, a name, an id or NULL.
SELECT r._run FROM sigdb_data.run_of($run) AS r;
