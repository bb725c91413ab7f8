-- name: signatures
-- The names of the library that begin with $start in any case.
SELECT i.signature AS name
FROM sigdb_data.signature_info AS i
WHERE starts_with(lower(i.signature), lower($start))
ORDER BY i.signature ASC
LIMIT 200;

-- name: names
-- The signatures of the library and the genes that begin with $start in any case, signatures first. No genes
-- as long as $start is empty.
SELECT n.name
FROM (
    SELECT i.signature AS name, 0 AS place FROM sigdb_data.signature_info AS i
    UNION ALL
    SELECT g.symbol AS name, 1 AS place FROM sigdb_data.genes AS g WHERE $start <> ''
) AS n
WHERE starts_with(lower(n.name), lower($start))
ORDER BY n.place ASC, n.name ASC
LIMIT 200;

-- name: columns
-- The columns of the view cells that can group cells and begin with $start: neither ids nor measured numbers.
SELECT d.column_name AS name
FROM (DESCRIBE FROM cells) AS d
WHERE
    starts_with(d.column_name, $start)
    AND d.column_type NOT IN ('FLOAT', 'DOUBLE')
    AND d.column_name NOT IN ('cell_id', 'sample_id', 'barcode', 'n_genes')
ORDER BY d.column_name ASC;

-- name: runs
-- The attribution runs that begin with $start.
SELECT r.run AS name FROM sigdb_data.attribution_runs AS r WHERE starts_with(r.run, $start) ORDER BY r.run ASC;

-- name: studies
-- The studies that begin with $start.
SELECT s.study AS name FROM sigdb_data.studies AS s WHERE starts_with(s.study, $start) ORDER BY s.study ASC;
