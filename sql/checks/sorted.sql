-- sorted: the attributions are sorted by (run, gene, cell), so that a query reads only the row groups of its genes.
SELECT count(*), min('after run ' || s.last_run || ', gene ' || s.last_gene || ', cell ' || s.last_cell || ' comes run '
    || s.run_id || ', gene ' || s.gene_id || ', cell ' || s.cell_id)
FROM (
    SELECT
        a.run_id, a.gene_id, a.cell_id, lag(a.run_id) OVER () AS last_run, lag(a.gene_id) OVER () AS last_gene,
        lag(a.cell_id) OVER () AS last_cell
    FROM sigdb_data.attributions AS a
) AS s
WHERE s.last_run IS NOT NULL AND (s.run_id, s.gene_id, s.cell_id) < (s.last_run, s.last_gene, s.last_cell);
