-- signature_check(genes, weights, agg, missing, run, signed, signatures) -> TABLE (_error)
-- Internal: one row with NULL, or an error that says what is wrong with the arguments, how many are wrong, the nearest valid
-- value and what to do. A macro uses it in a WHERE, as (SELECT _error FROM ...) IS NULL: in a SELECT list, the optimiser
-- drops it.
-- Errors:  an unknown agg, missing or run; a text where a list belongs; signed := true if the scores of the run have no
--          signs; an unknown signature; an
--          empty list; a NULL gene; weights of another length, or not finite; a gene given twice with two weights; an unknown gene
--          with missing := 'error'; no known gene; weights that add up to 0.
-- Example: SELECT _error IS NULL FROM sigdb_data.signature_check(['CD3E'], NULL, 'mean', 'error', NULL, false, NULL);  --> true

CREATE OR REPLACE MACRO sigdb_data.signature_check(genes, weights, agg, missing, run, signed, signatures) AS TABLE
SELECT CASE
    WHEN agg IS NULL OR agg NOT IN ('mean', 'sum')
        THEN error('agg must be ''mean'' or ''sum'', not ' || coalesce('''' || agg || '''', 'NULL') || '.')
    WHEN missing IS NULL OR missing NOT IN ('error', 'ignore')
        THEN error('missing must be ''error'' or ''ignore'', not ' || coalesce('''' || missing || '''', 'NULL') || '.')
    WHEN k._unknown IS NOT NULL
        THEN error('No such signature: ' || k._unknown || '. FROM signature_info lists the signatures of this atlas.')
    WHEN g._n_asked = 0
        THEN error('The list is empty or NULL (signature_genes gives an empty list for an unknown name). '
            || 'Give at least one gene.')
    WHEN g._n_null > 0
        THEN error(g._n_null || ' of ' || g._asked || CASE WHEN g._n_null = 1 THEN ' is NULL. Remove it.' ELSE ' are NULL. Remove them.' END)
    WHEN weights IS NOT NULL AND TRY_CAST(weights AS DOUBLE[]) IS NULL
        THEN error('The weights must be a list of numbers, one per gene.')
    WHEN weights IS NOT NULL AND array_length(TRY_CAST(weights AS DOUBLE[])) <> g._n_asked
        THEN error(array_length(TRY_CAST(weights AS DOUBLE[])) || CASE WHEN array_length(TRY_CAST(weights AS DOUBLE[])) = 1 THEN ' weight for ' ELSE ' weights for ' END || g._asked
            || '. Give one weight per gene, in the same order.')
    WHEN g._bad_weights IS NOT NULL
        THEN error('Weights must be finite numbers. They are not finite for: ' || g._bad_weights || '.')
    WHEN c._conflicts IS NOT NULL
        THEN error('Given more than once, with different weights: ' || c._conflicts || '. Give each gene one weight.')
    WHEN missing = 'error' AND g._n_missing > 0
        THEN error(g._n_missing || ' of ' || g._asked || CASE WHEN g._n_missing = 1 THEN ' is' ELSE ' are' END
            || CASE WHEN g._n_elsewhere > 0 THEN ' not in the model of this run: ' ELSE ' not in this atlas: ' END || g._missing
            || CASE WHEN g._n_missing < g._n_asked
                THEN '. Use missing := ''ignore'' to score the other ' || g._n_asked - g._n_missing
                ELSE '' END
            || '. check_genes([...]) shows what each name means.')
    WHEN c._empty IS NOT NULL
        THEN error('None of the genes of ' || c._empty || ' is in '
            || CASE WHEN g._n_elsewhere > 0 THEN 'the model of this run: ' ELSE 'this atlas: ' END || g._missing || '.')
    WHEN agg = 'mean' AND c._n_zero > 0
        THEN error('All weights are 0, so there is no mean. Use agg := ''sum'' or other weights.')
END AS _error
FROM (
    SELECT
        count(*) AS _n_asked,
        count(*) || CASE WHEN count(*) = 1 THEN ' gene' ELSE ' genes' END AS _asked,
        count(*) FILTER (r._asked IS NULL) AS _n_null,
        count(*) FILTER (r._gene IS NULL) AS _n_missing,
        count(*) FILTER (r._gene IS NULL AND starts_with(r._suggestion, 'run := ')) AS _n_elsewhere,
        string_agg(
            r._asked || CASE
                WHEN r._status = 'ambiguous' THEN ' (ambiguous' || coalesce(': ' || r._suggestion, '') || ')'
                WHEN starts_with(r._suggestion, 'run := ') THEN ' (use ' || r._suggestion || ')'
                ELSE coalesce(' (did you mean ' || r._suggestion || '?)', '')
            END, ', ' ORDER BY r._signature ASC, r._position ASC
        ) FILTER (r._gene IS NULL) AS _missing,
        string_agg(r._asked, ', ' ORDER BY r._position ASC)
            FILTER (r._weight IS NULL OR NOT isfinite(r._weight)) AS _bad_weights
    FROM sigdb_data.gene_report(genes, weights, run, signatures) AS r
) AS g
CROSS JOIN (
    SELECT
        string_agg(t._conflicts, ', ' ORDER BY t._signature ASC) AS _conflicts,
        string_agg(t._signature, ', ' ORDER BY t._signature ASC) FILTER (t._n_resolved = 0) AS _empty,
        count(*) FILTER (t._total = 0) AS _n_zero
    FROM (
        SELECT
            w._signature,
            string_agg(w._symbol, ', ' ORDER BY w._symbol ASC) FILTER (w._least <> w._most) AS _conflicts,
            count(w._symbol) AS _n_resolved,
            sum(abs(w._least)) FILTER (w._symbol IS NOT NULL) AS _total
        FROM (
            SELECT
                coalesce(r._signature, 'the list') AS _signature,
                r._symbol,
                min(r._weight) AS _least,
                max(r._weight) AS _most
            FROM sigdb_data.gene_report(genes, weights, run, signatures) AS r
            GROUP BY r._signature, r._symbol
        ) AS w
        GROUP BY w._signature
    ) AS t
) AS c
CROSS JOIN (
    SELECT
        string_agg(coalesce(n._name || coalesce(' (did you mean ' || n._nearest || '?)', ''), 'NULL'), ', ' ORDER BY n._place ASC)
            FILTER (n._place <= 5)
        || CASE WHEN count(*) > 5 THEN ' and ' || count(*) - 5 || ' more' ELSE '' END AS _unknown
    FROM (
        SELECT a._name, row_number() OVER (ORDER BY a._name ASC) AS _place, (
            SELECT
                arg_max(
                    CASE WHEN jaro_winkler_similarity(upper(q.signature), upper(a._name)) >= 0.9 THEN q.signature END,
                    jaro_winkler_similarity(upper(q.signature), upper(a._name))
                )
            FROM sigdb_data.signature_info AS q
        ) AS _nearest
        FROM (SELECT unnest(sigdb_data.as_list(signatures))::VARCHAR AS _name) AS a
        WHERE a._name IS NULL OR a._name NOT IN (SELECT q.signature FROM sigdb_data.signature_info AS q)
    ) AS n
) AS k
WHERE (SELECT r._error FROM sigdb_data.run_check(run, signed) AS r) IS NULL
    AND (SELECT l._error FROM sigdb_data.list_check(genes, signatures) AS l) IS NULL;
