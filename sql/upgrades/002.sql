-- 002: from schema 2 to 3, in which a chunk of the ledger says where in its file it begins, since the cells of a study are
-- no longer in the order of the file; scores that were computed elsewhere may be without signs, and their cells without counts.
UPDATE sigdb_data.ingest_chunks AS k
SET first_cell = k.first_cell - q.first_cell
FROM (
    SELECT c.run_id, c.study_id, min(c.first_cell) AS first_cell
    FROM sigdb_data.ingest_chunks AS c
    GROUP BY c.run_id, c.study_id
) AS q
WHERE k.run_id = q.run_id AND k.study_id = q.study_id;

ALTER TABLE sigdb_data.ingest_chunks RENAME COLUMN first_cell TO first_row;

ALTER TABLE sigdb_data.attribution_runs ADD COLUMN is_signed BOOLEAN DEFAULT true;
ALTER TABLE sigdb_data.cell_data ALTER COLUMN n_counts DROP NOT NULL;
ALTER TABLE sigdb_data.cell_data ALTER COLUMN n_genes DROP NOT NULL;
