-- name: groups
-- The groups of cells that the run $run has attributed, from the cube. The page counts the values of its filters in them.
SELECT s.study, s.cell_type, s.disease, s.tissue, s.donor, sum(s.n_cells)::BIGINT AS n_cells
FROM (
    SELECT q.study, g.cell_type, q.disease, q.tissue, q.donor, g.n_cells
    FROM sigdb_data.group_sizes AS g
    JOIN sigdb_data.run_of($run) AS o ON g.run_id = o._run
    JOIN samples AS q ON g.sample_id = q.sample_id
) AS s
GROUP BY s.study, s.cell_type, s.disease, s.tissue, s.donor
ORDER BY s.study ASC, n_cells DESC, s.cell_type ASC;

-- name: types
-- The cells of each study by cell type, from the cube of the run $run. The page replaces is_chosen by its filters.
SELECT c.study, coalesce(c.cell_type, '(no type)') AS cell_type, sum(c.n_cells)::BIGINT AS n_cells
FROM (
    SELECT q.study, g.cell_type, q.disease, q.tissue, q.donor, g.n_cells
    FROM sigdb_data.group_sizes AS g
    JOIN sigdb_data.run_of($run) AS o ON g.run_id = o._run
    JOIN samples AS q ON g.sample_id = q.sample_id
) AS c
WHERE is_chosen
GROUP BY c.study, c.cell_type
ORDER BY n_cells DESC, c.study ASC, c.cell_type ASC;

-- name: run_names
-- The runs of the atlas and whether each is the default.
SELECT r.run, r.run_id = (SELECT o._run FROM sigdb_data.run_of(NULL) AS o) AS is_default
FROM sigdb_data.attribution_runs AS r
ORDER BY r.run_id ASC;

-- name: library
-- The signatures of the library, with the number of their genes.
SELECT i.signature, count(s.gene) AS n_genes, i.source, i.description
FROM sigdb_data.signature_info AS i
JOIN sigdb_data.signatures AS s ON i.signature = s.signature
GROUP BY i.signature, i.source, i.description
ORDER BY i.signature ASC;

-- name: members
-- The genes of the signatures $names of the library, with their weights.
SELECT s.signature, s.gene, s.weight
FROM sigdb_data.signatures AS s
WHERE list_contains($names, s.signature)
ORDER BY s.signature ASC, s.position ASC;

-- name: check
-- What each of $genes means in the atlas (see check_genes).
SELECT c.gene, c.symbol, c.gene_id, c.status, c.suggestion
FROM check_genes($genes, run := $run) AS c;
