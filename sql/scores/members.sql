-- name: signature
-- The genes and the weights of the library signature $name. Both lists are empty if there is no such signature.
SELECT signature_genes($name), signature_weights($name);

-- name: run_check
-- Raises an error if there is no run $run.
SELECT e._error FROM sigdb_data.run_check($run, false) AS e;

-- name: named_alike
-- The signatures of the library whose names are $name in any case.
SELECT i.signature FROM sigdb_data.signature_info AS i WHERE lower(i.signature) = lower($name) ORDER BY i.signature ASC;

-- name: named
-- The signatures of the library whose names are among $names in any case.
SELECT i.signature
FROM sigdb_data.signature_info AS i
WHERE lower(i.signature) IN (SELECT lower(n.name) FROM (SELECT unnest($names::VARCHAR[]) AS name) AS n)
ORDER BY i.signature ASC;

-- name: signature_names
-- The names of all signatures of the library.
SELECT i.signature FROM sigdb_data.signature_info AS i ORDER BY i.signature ASC;
