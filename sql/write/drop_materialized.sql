-- drop_materialized: the signatures $signatures are materialised no longer, in the run of id $run_id or (NULL) in all.
DELETE FROM sigdb_data.materialized_signatures AS m
WHERE list_contains($signatures, m.signature) AND ($run_id IS NULL OR m.run_id = $run_id);
