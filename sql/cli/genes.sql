-- name: check
-- What each of the names $genes means in an atlas, for the run $run; NULL is the default run.
SELECT gene, symbol, gene_id, status, suggestion FROM check_genes($genes, run := $run);
