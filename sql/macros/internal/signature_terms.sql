-- signature_terms(genes, weights, agg, run, signatures) -> TABLE (_signature, _run, _gene, _weight, _branch)
-- Internal: the number that a score multiplies each attribution by. One row per gene that the run's model can attribute; a
-- gene that is given twice, by whatever names, has one row.
-- Units:   _weight: weight / sum of |weight| (agg 'mean'), or the weight itself ('sum').
-- _branch: the number of the gene's branch. signature_values reads branch_size() genes per branch.
-- Example: SELECT _weight FROM sigdb_data.signature_terms(['S100A8', 'CD3E'], NULL, 'mean', NULL, NULL) LIMIT 1;  --> 0.5

CREATE OR REPLACE MACRO sigdb_data.signature_terms(genes, weights, agg, run, signatures) AS TABLE
SELECT
    t._signature,
    t._run,
    t._gene,
    -- No nullif, which DuckDB 1.4 does not find around a window in a file that 2.0 has written.
    t._weight / CASE
        WHEN agg = 'mean' THEN
            CASE
                WHEN sum(abs(t._weight)) OVER (PARTITION BY t._signature) > 0
                    THEN sum(abs(t._weight)) OVER (PARTITION BY t._signature)
            END
        ELSE 1
    END AS _weight,
    (dense_rank() OVER (ORDER BY t._gene ASC) - 1) // sigdb_data.branch_size() AS _branch
FROM (
    SELECT r._signature, m._run, r._gene, any_value(r._weight) AS _weight
    FROM sigdb_data.resolve_genes(genes, weights, signatures) AS r
    JOIN sigdb_data.run_genes(run) AS m ON r._gene = m._gene
    GROUP BY r._signature, m._run, r._gene
) AS t;
