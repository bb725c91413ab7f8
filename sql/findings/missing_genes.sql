-- missing_genes: the genes of a signature that the model of the run does not know, and those that a study did not measure.
-- status: missing or ambiguous (see check_genes), or not measured. suggestion: as in check_genes. n_studies, studies: where
-- a gene that the model knows was not measured. The report replaces is_chosen as in coverage.
SELECT
    r._asked AS gene, r._symbol AS symbol, CASE WHEN r._symbol IS NULL THEN r._status ELSE 'not measured' END AS status,
    r._suggestion AS suggestion, u._n AS n_studies, u._studies AS studies
FROM sigdb_data.gene_report($genes, NULL, $run, NULL) AS r
LEFT JOIN (
    SELECT g._gene, count(*) AS _n, string_agg(s.study, ', ' ORDER BY s.study ASC) AS _studies
    FROM (SELECT DISTINCT q._gene FROM sigdb_data.gene_report($genes, NULL, $run, NULL) AS q) AS g
    JOIN (
        SELECT t.study_id, t.study FROM sigdb_data.studies AS t
        WHERE t.study IN (SELECT q.study FROM cells AS q WHERE is_chosen)
    ) AS s ON TRUE
    LEFT JOIN sigdb_data.study_genes AS m ON g._gene = m.gene_id AND s.study_id = m.study_id
    WHERE g._gene IS NOT NULL AND m.gene_id IS NULL
    GROUP BY g._gene
) AS u ON r._gene = u._gene
WHERE r._symbol IS NULL OR u._n > 0
ORDER BY u._n DESC NULLS FIRST, r._position ASC;
