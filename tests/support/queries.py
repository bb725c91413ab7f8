"""Queries as people write them, on an atlas of two runs with a materialised signature (`two_runs_path`)."""

QUERIES = {
    "scalar by group": """
        SELECT study, cell_type, count(*) AS n, avg(signature_score(cell_id, ['LYZ', 'CD14', 'FCN1'])) AS score
        FROM cells GROUP BY ALL ORDER BY ALL""",
    "scalar in where": """
        SELECT cell_id, cell_type FROM cells
        WHERE study = 'zheng2017_pbmc68k' AND signature_score(cell_id, ['MS4A1', 'CD79A']) > 20""",
    "scalar in having": """
        SELECT cell_type FROM cells GROUP BY cell_type HAVING max(signature_score(cell_id, ['CD3D'])) > 20""",
    "scalar in case": """
        SELECT CASE WHEN signature_score(c.cell_id, ['CD3D', 'CD3E']) > 10 THEN 'T' ELSE 'other' END AS kind, count(*)
        FROM cells AS c GROUP BY 1""",
    "two scores": """
        SELECT cell_id, signature_score(cell_id, ['CD3D']) - signature_score(cell_id, ['MS4A1']) AS difference
        FROM cells WHERE study = 'zheng2017_pbmc68k'""",
    "scalar in a sub-query": """
        SELECT max(s) FROM (SELECT cell_id, signature_score(cell_id, ['LYZ']) AS s FROM cells) AS t WHERE s < 30""",
    "scalar with a signature of the library": """
        SELECT disease, avg(signature_score(cell_id, signature_genes('MS1'), signature_weights('MS1'), missing :=
            'ignore'))
        FROM cells GROUP BY disease""",
    "scalar, measured genes": """
        SELECT study, avg(signature_score(cell_id, ['LYZ', 'CD14', 'FCN1', 'AIF1'], measured_only := true))
        FROM cells GROUP BY study""",
    "an alias that the macro's body has too": """
        SELECT v.cell_id, signature_score(v.cell_id, ['LYZ']) AS _value FROM cells AS v
        WHERE signature_score(v.cell_id, ['LYZ']) > 30""",
    "all cells": "FROM signature_score(['CD3D', 'CD3E'])",
    "joined": """
        SELECT c.cell_type, avg(s.score) AS score, count(*) FILTER (WHERE s.score > 10) AS high
        FROM signature_score(['CD3D', 'CD3E']) AS s JOIN cells AS c USING (cell_id) GROUP BY c.cell_type""",
    "two signatures joined": """
        SELECT corr(a.score, b.score), count(*) FROM signature_score(['CD3D']) AS a
        JOIN signature_score(['CD3E', 'CD2']) AS b ON a.cell_id = b.cell_id""",
    "column aliases": "SELECT x.c, x.v FROM signature_score(['LYZ']) AS x(c, v) WHERE x.v > 20",
    "weights": "FROM signature_score(['CD3D', 'MS4A1'], weights := [2, -0.5], signed := true)",
    "sum": "SELECT sum(score) FROM signature_score(['LYZ', 'CD14'], agg := 'sum')",
    "positional options": "FROM signature_score(['LYZ', 'CD14'], [1.0, 3.0], 'sum')",
    "arrows": "FROM signature_score(genes => ['LYZ', 'CD14'], agg => 'sum')",
    "other names of genes": "FROM signature_score(['CD20', 's100a9', 'ENSG00000143546.9'])",
    "genes twice": "SELECT avg(score) FROM signature_score(['LYZ', 'LYZ', 'CD14'])",
    "missing": "SELECT max(score) FROM signature_score(['LYZ', 'NO_SUCH_GENE'], missing := 'ignore')",
    "second run": "SELECT count(*), sum(score) FROM signature_score(['LYZ'], run := 'half')",
    "run by number": "SELECT count(*), sum(score) FROM signature_score(['LYZ'], run := 1)",
    "two runs": """
        SELECT avg(a.score / nullif(b.score, 0)) FROM signature_score(['LYZ']) AS a
        JOIN signature_score(['LYZ'], run := 'half') AS b USING (cell_id)""",
    "genes of a sub-query": """
        SELECT avg(score) FROM signature_score((SELECT list(gene ORDER BY position) FROM sigdb_data.signatures
            WHERE signature = 'HALLMARK_HYPOXIA'), missing := 'ignore')""",
    "genes of a CTE": """
        WITH wanted AS (SELECT symbol FROM genes WHERE symbol IN ('LYZ', 'CD14'))
        SELECT avg(score) FROM signature_score((SELECT list(symbol) FROM wanted))""",
    "several signatures": """
        SELECT signature, avg(score) FROM signature_scores(['MS1', 'HALLMARK_HYPOXIA'], missing := 'ignore')
        GROUP BY signature""",
    "materialised, sum": """
        SELECT count(*), avg(score) FROM signature_scores(['MS1'], agg := 'sum', missing := 'ignore')""",
    "from the cube": """
        SELECT disease, sum(score * n_cells) / sum(n_cells) FROM signature_by_sample(['LYZ', 'CD14']) GROUP BY
            disease""",
    "coverage": """
        SELECT study, sample, cell_type, score, n_measured FROM signature_by_sample(['LYZ', 'CD14', 'FCN1', 'AIF1',
            'VSIG4'],
            measured_only := true, min_coverage := 0.7, run := 'half')""",
    "hits": "SELECT cell_id, score, z FROM signature_hits(['LYZ', 'CD14']) WHERE is_hit",
    "hits in cells": """
        SELECT cell_id, score, z FROM signature_hits(['LYZ', 'CD14'], percentile := 90, against := 'cells')
        WHERE is_hit""",
    "hits of a CTE": """
        WITH mine AS (SELECT cell_id FROM cells WHERE tissue = 'blood' AND n_counts > 800)
        SELECT count(*), sum(CASE WHEN is_hit THEN 1 ELSE 0 END) FROM signature_hits(['LYZ'], cells := 'mine', sd
            := 1)""",
    "hits of a view": """
        SELECT count(*) FROM signature_hits(['LYZ'], cells := 'cells', cutoff := 2, below := true) WHERE is_hit""",
    "hit rates": "FROM sample_hit_rates(['LYZ', 'CD14'], min_cells := 20)",
    "hit rates in cells": """
        FROM sample_hit_rates(['LYZ', 'CD14'], percentile := 80, min_cells := 20, against := 'cells')""",
    "calibration": "FROM signature_calibration(['CD3D', 'CD3E'], percentile := 95)",
    "importance": "SELECT gene, score, rank FROM gene_importance(cell_type := 'CD19+ B') WHERE rank <= 5",
    "contributions": "SELECT * FROM signature_contributions(['LYZ', 'CD14', 'FCN1']) WHERE cell_type = 'Dendritic'",
    "leading": "SELECT * FROM leading_genes(['LYZ', 'CD14', 'FCN1'], weights := [1, 2, 3]) WHERE rank = 1",
    "null": "SELECT cell_type, score, z, p_value, n_controls FROM signature_null(['CD3D', 'CD3E'], n_controls := 20)",
    "controls": """
        SELECT study, control, gene, match FROM signature_controls(['CD3D', 'CD3E'], n_controls := 3, seed := 7)""",
    "attributions of genes": """
        SELECT gene, count(*), sum(signed_score) FROM gene_attributions(['LYZ', 'CD14']) GROUP BY gene""",
    "names": "SELECT gene, symbol, status FROM check_genes(['CD20', 'LYZ', 's100a9', 'NO_SUCH_GENE', NULL])",
    "a CTE with the name of a view": """
        WITH cells AS (SELECT * FROM cells WHERE study = 'baron2016_pancreas')
        SELECT count(*), avg(signature_score(cells.cell_id, ['INS'])) FROM cells""",
    "a CTE with the name of a step": """
        WITH _resolve_genes AS (SELECT 1 AS _asked), _cells AS (SELECT 2 AS cell_id), t AS (FROM
            signature_score(['LYZ']))
        SELECT count(*), max(t.score), max(r._asked), max(q.cell_id) FROM t, _resolve_genes AS r, _cells AS q""",
    "a CTE with the name of a base table": """
        WITH attributions AS (SELECT 1 AS gene_id), genes AS (SELECT 'x' AS symbol)
        SELECT max(score), (SELECT count(*) FROM attributions), (SELECT max(symbol) FROM genes) FROM
            signature_score(['LYZ'])""",
    "a nested WITH": """
        SELECT (WITH cells AS (SELECT 7 AS n) SELECT n FROM cells) AS seven, count(*) FROM cells""",
    "windows": """
        SELECT cell_id, rank() OVER (PARTITION BY study ORDER BY score DESC) AS place, score / sum(score) OVER ()
            AS part
        FROM signature_score(['LYZ', 'CD14']) JOIN cells USING (cell_id) WHERE tissue = 'blood'""",
    "qualify": """
        SELECT study, cell_id, score FROM signature_score(['LYZ']) JOIN cells USING (cell_id)
        QUALIFY row_number() OVER (PARTITION BY study ORDER BY score DESC, cell_id) = 1""",
    "union": """
        SELECT 'T' AS what, avg(score) FROM signature_score(['CD3D'])
        UNION ALL SELECT 'B', avg(score) FROM signature_score(['MS4A1'])""",
    "views": """
        SELECT s.study, s.n_cells, t.n_samples, g.n_studies FROM samples AS s JOIN studies AS t USING (study)
        CROSS JOIN gene_coverage AS g WHERE g.gene = 'LYZ' AND s.in_vivo IS NULL""",
    "exclude": "SELECT * EXCLUDE (barcode, n_counts) FROM cells WHERE cell_id < 5",
    "functions": """
        SELECT upper(cell_type), round(log(n_counts), 3), median(n_genes), quantile_cont(n_counts, 0.25),
            string_agg(DISTINCT donor, '+' ORDER BY donor), any_value(disease), n_genes // 1000, (n_counts /
            7)::INTEGER
        FROM cells WHERE regexp_matches(cell_type, '^cd4', 'i') GROUP BY cell_type, n_counts, n_genes""",
}

# Three rows with values that engines may treat differently.
ROWS = "(VALUES (1, 2.5, 'b', true, 7), (2, NULL, 'a.b', false, -7), (3, 0.5, NULL, NULL, NULL)) AS t(i, x, s, b, n)"
# Small queries, each with a construct that some engines lack, or that has another meaning there.
MEANINGS = {
    "integer division": f"SELECT n // 2, n % 2, i / 2, 1.0 / 3, 1 / 3, 7 / 2 * 2 FROM {ROWS}",
    "order of NULL": f"SELECT i, row_number() OVER (ORDER BY s), row_number() OVER (ORDER BY s DESC) FROM {ROWS}",
    "first in order": f"SELECT i FROM {ROWS} ORDER BY s LIMIT 2",
    "arg_max skips NULL": f"SELECT arg_max(s, i), arg_min(s, i), arg_max(x, i), arg_max(i, n) FROM {ROWS}",
    "any_value skips NULL": f"SELECT any_value(s), any_value(n) FROM {ROWS} WHERE i > 1",
    "aggregates of no rows": f"""
        SELECT sum(n), avg(n), count(n), bool_or(b), list(n), string_agg(s, ',' ORDER BY i), max(s), stddev(n)
        FROM {ROWS} WHERE i > 9""",
    "texts of some rows": f"""
        SELECT string_agg(s, ',' ORDER BY s), string_agg(s, ',' ORDER BY i DESC), string_agg(s, ',') FILTER (i = 1)
        FROM {ROWS}""",
    "texts once": f"SELECT string_agg(DISTINCT s, '+' ORDER BY s) FILTER (WHERE b IS NOT NULL) FROM {ROWS}",
    "lists": f"SELECT list(i ORDER BY i), array_length(list(n)), len([1, NULL]), list_contains([1], 3) FROM {ROWS}",
    "in a list": f"""
        SELECT i, 2 IN l, 9 NOT IN l, i IN l, i NOT IN l, n IN l, list_contains(l, n)
        FROM (SELECT i, n, CASE WHEN i > 1 THEN [2, 7] END AS l FROM {ROWS})""",
    "not in a list": f"SELECT i FROM (SELECT i, n, [2, 7] AS l FROM {ROWS}) WHERE i NOT IN l",
    "lists of some rows": f"""
        SELECT list(n) FILTER (WHERE i > 9), list(i) FILTER (WHERE i > 1), list(i ORDER BY s) FILTER (WHERE i < 3),
            array_length(list(DISTINCT n) FILTER (WHERE i > 1)), array_length(list(DISTINCT b))
        FROM {ROWS}""",
    "arg_max of some rows": f"SELECT arg_max(s, i) FILTER (WHERE i < 2), arg_min(i, n) FILTER (WHERE b) FROM {ROWS}",
    "series": f"""
        SELECT array_length(generate_series(3, i)), array_length(range(i)), array_length(range(2, i)),
            array_length(range(1, 3 * i, 2)), array_length(range(n)), array_length(generate_series(3, 1))
        FROM {ROWS}""",
    "unnested series": "SELECT unnest(generate_series(2, 4)) AS i",
    "elements": f"SELECT [1, 2, 3][1], [1, 2, 3][4], [4, 5, 6][i], list_extract([4, 5], i) FROM {ROWS}",
    "parts": "SELECT split_part('a.b.c', '.', 2), split_part('a', '.', 1), split_part('a.b', '.', 5) = ''",
    "parts of NULL": "SELECT split_part(NULL::VARCHAR, '.', 1), split_part(NULL::VARCHAR, '.', 2)",
    "contains": f"SELECT contains(s, 'B'), contains(s, 'b'), starts_with(s, 'a'), ends_with(s, 'B') FROM {ROWS}",
    "backslashes": r"SELECT 'a_b' LIKE 'a\_b', 'a\b' LIKE 'a\b', 'axb' LIKE 'a_b', 'a\nb', length('a\nb')",
    "backslashes in a column": r"""
        SELECT s, s LIKE p FROM (VALUES ('a_b', 'a\_b'), ('a\xb', 'a\_b'), ('ab', 'a%')) AS t(s, p)""",
    "escapes": r"""
        SELECT 'a\_b' LIKE 'a!_b' ESCAPE '!', 'a_b' LIKE 'a!_b' ESCAPE '!', 'a\xb' LIKE 'a\%' ESCAPE '!',
            'a_b' NOT LIKE 'a\_b' ESCAPE '\', 'A_b' ILIKE 'a!_B' ESCAPE '!'""",
    "substrings": "SELECT substring('abc', 1, 2), substring('abc', 2), substring('abc', 3, 5)",
    "quotes": """SELECT 'it''s', '"q"', 'ü—😀', length('ü—😀'), list_contains(['a''b', 'ü'], 'a''b')""",
    "regular expressions": f"""
        SELECT regexp_matches(s, '^B', 'i'), regexp_matches(s, '.[.]'), regexp_matches('x' || s, s),
            regexp_matches('X' || s, 'x' || s, 'i') FROM {ROWS}""",
    "casts": f"SELECT b::INTEGER, sum(b::INTEGER) OVER (), '7'::INTEGER, 2.7::INTEGER, (x * 3)::BIGINT FROM {ROWS}",
    "failed casts": "SELECT TRY_CAST('x' AS INTEGER), TRY_CAST('3' AS INTEGER), TRY_CAST('2.7' AS INTEGER)",
    "three truths": f"SELECT i IN (1, NULL), b AND NULL, b OR NULL, NOT b, s IS NOT DISTINCT FROM NULL FROM {ROWS}",
    "not in NULL": f"SELECT i FROM {ROWS} WHERE i NOT IN (SELECT n FROM {ROWS})",
    "GROUP BY ALL": f"SELECT i % 2, b, count(*) + 1, max(n) FROM {ROWS} GROUP BY ALL",
    "ORDER BY ALL DESC": f"SELECT * FROM (SELECT s, i FROM {ROWS} ORDER BY ALL DESC NULLS FIRST LIMIT 2)",
    "ORDER BY ALL of UNION": "SELECT * FROM (SELECT 1 AS i UNION ALL SELECT 2 ORDER BY ALL DESC LIMIT 1)",
    "names of columns": f'SELECT "I", T."N" AS "order", s AS "of two words" FROM {ROWS} WHERE I = 1',
    "DISTINCT ON": f"SELECT DISTINCT ON (i % 2) i % 2 AS odd, i FROM {ROWS} ORDER BY i % 2, i",
    "named window": f"SELECT i, lag(i) OVER w, sum(n) OVER w FROM {ROWS} WINDOW w AS (PARTITION BY b ORDER BY i)",
    "FROM first": f"FROM (FROM {ROWS} SELECT i, n WHERE b) -- a comment\nWHERE n > 0 /* another */",
    "VALUES": "VALUES (1, 'a'), (2, 'b')",
    "materialised CTE": "WITH a AS MATERIALIZED (SELECT 1 AS k) SELECT k FROM a",
    "an empty branch": f"SELECT i FROM {ROWS} UNION ALL SELECT 9 FROM {ROWS} WHERE 1 = 2 ORDER BY i DESC LIMIT 2",
    "columns of an empty branch": "SELECT a FROM (SELECT 1 AS a WHERE false UNION ALL SELECT 2 AS c) AS t",
    "columns of an empty join": f"""
        SELECT * FROM (SELECT i FROM {ROWS}) AS a LEFT JOIN (SELECT 1 AS k, 2 AS y WHERE 1 = 2) AS e ON a.i = e.k""",
    "an aggregate in a dead branch": f"SELECT CASE WHEN true THEN 1 ELSE count(*) END FROM {ROWS}",
    "SEMI and ANTI": f"""
        SELECT a.i FROM (SELECT * FROM {ROWS}) AS a SEMI JOIN (SELECT 2 AS k) AS c ON a.i = c.k
        UNION ALL SELECT a.i FROM (SELECT * FROM {ROWS}) AS a ANTI JOIN (SELECT 2 AS k) AS c ON a.i = c.k""",
}
