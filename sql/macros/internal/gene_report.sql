-- gene_report(genes, weights, run, signatures)
--   -> TABLE (_signature, _position, _asked, _weight, _gene, _symbol, _status, _suggestion)
-- Internal: what each given gene name means. _suggestion: for an unknown name, the nearest symbol; for a gene that only the
-- models of other runs know, the first of these runs as an option (run := 'name').
-- Units:   _status: ok, alias, ensembl, case, ambiguous, missing. _gene is NULL for ambiguous and missing.
-- Example: SELECT _status FROM sigdb_data.gene_report(['S100A8'], NULL, NULL, NULL);  --> ok

CREATE OR REPLACE MACRO sigdb_data.gene_report(genes, weights, run, signatures) AS TABLE
SELECT
    r._signature,
    r._position,
    r._asked,
    r._weight,
    m._gene,
    m._symbol,
    CASE
        WHEN r._ambiguous THEN 'ambiguous'
        WHEN m._gene IS NULL THEN 'missing'
        WHEN r._rank = 0 THEN 'ok'
        WHEN r._rank < 4 THEN 'alias'
        WHEN r._rank = 4 THEN 'ensembl'
        ELSE 'case'
    END AS _status,
    CASE
        WHEN r._ambiguous THEN c._symbols
        WHEN m._gene IS NULL AND r._gene IS NOT NULL THEN o._run
        WHEN m._gene IS NULL THEN s._symbol
    END AS _suggestion
FROM sigdb_data.resolve_genes(genes, weights, signatures) AS r
LEFT JOIN (
    SELECT q._gene, g.symbol AS _symbol
    FROM sigdb_data.run_genes(run) AS q JOIN sigdb_data.genes AS g ON q._gene = g.gene_id
) AS m ON r._gene = m._gene
LEFT JOIN (
    SELECT x._asked, string_agg(DISTINCT g.symbol, ' or ' ORDER BY g.symbol ASC) AS _symbols
    FROM (
        SELECT DISTINCT y._asked FROM sigdb_data.resolve_genes(genes, weights, signatures) AS y WHERE y._ambiguous
    ) AS x
    JOIN sigdb_data.gene_names AS q ON q.name_lower = lower(x._asked)
    JOIN sigdb_data.genes AS g ON q.gene_id = g.gene_id
    GROUP BY x._asked
) AS c ON r._asked = c._asked
LEFT JOIN (
    SELECT x._asked, arg_max(g._symbol, jaro_winkler_similarity(upper(x._asked), upper(g._symbol))) AS _symbol
    FROM (
        SELECT DISTINCT y._asked FROM sigdb_data.resolve_genes(genes, weights, signatures) AS y WHERE y._gene IS NULL
    ) AS x
    JOIN (SELECT q.symbol AS _symbol FROM sigdb_data.genes AS q) AS g
        ON jaro_winkler_similarity(upper(x._asked), upper(g._symbol)) >= 0.9
    GROUP BY x._asked
) AS s ON r._asked = s._asked
LEFT JOIN (
    SELECT q.gene_id AS _gene, 'run := ''' || replace(arg_min(a.run, a.run_id), '''', '''''') || '''' AS _run
    FROM sigdb_data.model_genes AS q JOIN sigdb_data.attribution_runs AS a ON q.model_id = a.model_id
    GROUP BY q.gene_id
) AS o ON r._gene = o._gene;
