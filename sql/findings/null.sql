-- null: signature_null for groups of $min_cells cells or more. sigdb.matched_null adds a condition.
SELECT u.*
FROM signature_null(
    $genes, n_controls := $n_controls, seed := $seed, n_bins := $n_bins, weights := $weights, missing := $missing,
    run := $run, signed := $signed
) AS u
WHERE u.n_cells >= $min_cells
ORDER BY u.z DESC NULLS LAST, u.study, u.tissue, u.disease, u.cell_type;
