-- set_first_run_default: the run that queries mean unless they name one; only the first run of an atlas becomes it.
INSERT INTO sigdb_data.atlas_info (key, value) VALUES ('default_run', $run) ON CONFLICT (key) DO NOTHING;
