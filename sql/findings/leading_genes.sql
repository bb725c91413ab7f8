-- leading_genes: the $n leading genes of a signature in each group of $min_cells cells or more. sigdb.leading_genes
-- adds a condition.
SELECT u.*
FROM leading_genes($genes, weights := $weights, missing := $missing, run := $run, signed := $signed) AS u
WHERE u.rank <= $n AND u.n_cells >= $min_cells
ORDER BY u.score DESC, u.study, u.tissue, u.disease, u.cell_type, u.rank;
