-- 002: from schema 2 to 3, in which a chunk of the ledger says where in its file it begins, since the cells of a study are
-- no longer in the order of the file; scores that were computed elsewhere may be without signs, and their cells without counts.
ALTER TABLE sigdb_data.ingest_chunks RENAME TO ingest_chunks_before;
CREATE TABLE sigdb_data.ingest_chunks (
    run_id UTINYINT NOT NULL,
    study_id USMALLINT NOT NULL,
    chunk UINTEGER NOT NULL,
    first_row UINTEGER NOT NULL,
    n_cells UINTEGER NOT NULL,
    n_scores UBIGINT NOT NULL,
    device VARCHAR NOT NULL,
    versions MAP(VARCHAR, VARCHAR) NOT NULL,
    written TIMESTAMP NOT NULL
);
INSERT INTO sigdb_data.ingest_chunks BY NAME
SELECT k.* EXCLUDE (first_cell), k.first_cell - q.first_cell AS first_row
FROM sigdb_data.ingest_chunks_before AS k
INNER JOIN (
    SELECT c.run_id, c.study_id, min(c.first_cell) AS first_cell
    FROM sigdb_data.ingest_chunks_before AS c
    GROUP BY c.run_id, c.study_id
) AS q ON k.run_id = q.run_id AND k.study_id = q.study_id
ORDER BY k.rowid;
DROP TABLE sigdb_data.ingest_chunks_before;

ALTER TABLE sigdb_data.attribution_runs ADD COLUMN is_signed BOOLEAN DEFAULT true;
ALTER TABLE sigdb_data.cell_data ALTER COLUMN n_counts DROP NOT NULL;
ALTER TABLE sigdb_data.cell_data ALTER COLUMN n_genes DROP NOT NULL;
