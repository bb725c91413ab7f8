-- name: info
-- One fact about the file, such as its schema_version.
SELECT i.value FROM sigdb_data.atlas_info AS i WHERE i.key = $key;

-- name: record_decimals
-- Record that the scores are rounded to this many decimals.
INSERT OR REPLACE INTO sigdb_data.atlas_info (key, value) VALUES ('decimals', $decimals);

-- name: record_versions
-- Record which sigdb and DuckDB made the file as it is now, and when it was first made.
INSERT INTO sigdb_data.atlas_info (key, value)
VALUES
    ('schema_version', $schema_version),
    ('sigdb_version', $sigdb_version),
    ('duckdb_version', $duckdb_version),
    ('created', $now)
ON CONFLICT (key) DO UPDATE SET value = CASE WHEN key = 'created' THEN value ELSE excluded.value END;

-- name: add_signatures
-- Put the signatures of sigdb_incoming and sigdb_incoming_members into the library. They replace signatures of the same
-- names. (An update in place: DuckDB refuses to delete and insert one primary key in one transaction.)
INSERT INTO sigdb_data.signature_info (signature, source, description)
SELECT i.signature, i.source, i.description FROM sigdb_incoming AS i
ON CONFLICT (signature) DO UPDATE SET source = excluded.source, description = excluded.description;

DELETE FROM sigdb_data.signatures WHERE signature IN (SELECT i.signature FROM sigdb_incoming AS i);

INSERT INTO sigdb_data.signatures (signature, position, gene, weight)
SELECT i.signature, i.position, i.gene, i.weight FROM sigdb_incoming_members AS i;

-- name: remove_signatures
-- Remove the signatures of sigdb_removed from the library. Their kept scores and views are removed before.
DELETE FROM sigdb_data.signatures WHERE signature IN (SELECT r.signature FROM sigdb_removed AS r);

DELETE FROM sigdb_data.signature_info WHERE signature IN (SELECT r.signature FROM sigdb_removed AS r);

-- name: same_cells
-- Pairs of studies of which one seems to hold cells of the other: the later study, the earlier one, the number of cells
-- of the later one that have the barcode and the total counts of a cell of the earlier one, and its number of cells.
-- $first, $last: the range of ids of the later cells. Of a barcode such as s1_ACGTACGTACGTACGT-1, the bases are compared.
-- Fewer than a tenth of the cells of the smaller study can be chance; fewer than ten cells, unless they are half of it.
WITH cells AS (
    SELECT
        s.study_id, c.n_counts, coalesce(nullif(regexp_extract(c.barcode, '[ACGT]{12,}'), ''), c.barcode) AS bases,
        count(*) AS n, min(c.cell_id) AS cell_id
    FROM sigdb_data.cell_data AS c JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
    GROUP BY s.study_id, c.n_counts, bases
),
sizes AS (SELECT c.study_id, sum(c.n)::BIGINT AS n FROM cells AS c GROUP BY c.study_id),
pairs AS (
    SELECT l.study_id AS later_id, e.study_id AS earlier_id, sum(l.n)::BIGINT AS n
    FROM cells AS l
    JOIN cells AS e ON l.bases = e.bases AND l.n_counts = e.n_counts AND l.study_id <> e.study_id
    WHERE l.cell_id BETWEEN $first AND $last AND e.cell_id < l.cell_id
    GROUP BY l.study_id, e.study_id
)
SELECT l.study, e.study, p.n, a.n
FROM pairs AS p
JOIN sizes AS a ON p.later_id = a.study_id
JOIN sizes AS b ON p.earlier_id = b.study_id
JOIN sigdb_data.studies AS l ON p.later_id = l.study_id
JOIN sigdb_data.studies AS e ON p.earlier_id = e.study_id
WHERE p.n >= least(a.n, b.n) * CASE WHEN p.n < 10 THEN 0.5 ELSE 0.1 END
ORDER BY p.later_id ASC, p.earlier_id ASC;
