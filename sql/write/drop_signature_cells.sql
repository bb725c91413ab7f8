-- drop_signature_cells: delete the kept scores of the signatures $signatures, in the run of id $run_id or (NULL) in all.
DELETE FROM sigdb_data.signature_cells
WHERE materialized_id IN (
    SELECT m.materialized_id
    FROM sigdb_data.materialized_signatures AS m
    WHERE list_contains($signatures, m.signature) AND ($run_id IS NULL OR m.run_id = $run_id)
);
