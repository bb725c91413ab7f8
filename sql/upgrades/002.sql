-- 002: from schema 2 to 3, in which a chunk of the ledger says where in its file it begins, since the cells of a study are
-- no longer in the order of the file.
UPDATE sigdb_data.ingest_chunks AS k
SET first_cell = k.first_cell - q.first_cell
FROM (
    SELECT c.run_id, c.study_id, min(c.first_cell) AS first_cell
    FROM sigdb_data.ingest_chunks AS c
    GROUP BY c.run_id, c.study_id
) AS q
WHERE k.run_id = q.run_id AND k.study_id = q.study_id;

ALTER TABLE sigdb_data.ingest_chunks RENAME COLUMN first_cell TO first_row;
