"""Expanded queries: on DuckDB they give what the macros give; for other dialects they are valid SQL, or refused."""

from __future__ import annotations

import duckdb
import pytest
import sqlglot

import sigdb
from sigdb.atlas import schema
from sigdb.dialects.engines import DIALECTS
from sigdb.dialects.macros import base_tables, macros
from sigdb.errors import QueryError
from sigdb.literals import literal
from tests.support.queries import MEANINGS, QUERIES

OBJECTS = {each.sql: each for each in schema.objects()}.values()
OTHERS = [dialect for dialect in DIALECTS if dialect != "duckdb"]


def copy_tables(path):
    """A DuckDB database with the base tables of an atlas, without its macros and views."""
    con = duckdb.connect()
    con.execute(f"ATTACH {literal(str(path))} AS atlas (READ_ONLY)")
    con.execute("CREATE SCHEMA sigdb_data")
    for table in base_tables():
        con.execute(f"CREATE TABLE sigdb_data.{table} AS FROM atlas.sigdb_data.{table}")
    con.execute("DETACH atlas")
    return con


@pytest.fixture(scope="module")
def bare_toy(toy_path):
    with copy_tables(toy_path) as con:
        yield con


@pytest.fixture(scope="module")
def bare_two(two_runs_path):
    with copy_tables(two_runs_path) as con:
        yield con


@pytest.fixture(scope="module")
def two(two_runs_path):
    with sigdb.connect(two_runs_path) as con:
        yield con


def comparable(value):
    """A value from any engine, as text. Numbers have nine significant digits."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    return f"{float(value):.9g}" if not isinstance(value, list | tuple) else [comparable(each) for each in value]


def multiset(rows):
    """Rows in an order that does not depend on the engine."""
    return sorted([comparable(value) for value in row] for row in rows)


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each.kind}-{each.name}")
def test_expanded_example_gives_what_the_header_says(bare_toy, each):
    ((value,), *rest) = bare_toy.execute(sigdb.transpile(each.example, "duckdb")).fetchall()
    assert rest == []
    assert str(value).lower() == each.expected.lower()


@pytest.mark.parametrize("name", QUERIES)
def test_expanded_query_gives_what_the_macros_give(bare_two, two, name):
    expected = two.execute(QUERIES[name]).fetchall()
    assert expected
    assert multiset(bare_two.execute(sigdb.transpile(QUERIES[name], "duckdb")).fetchall()) == multiset(expected)


@pytest.mark.parametrize("name", MEANINGS)
def test_a_query_without_macros_keeps_its_meaning(name):
    written = duckdb.sql(sigdb.transpile(MEANINGS[name], "duckdb"))
    assert multiset(written.fetchall()) == multiset(duckdb.sql(MEANINGS[name]).fetchall())


def test_a_rollup_of_no_rows_is_kept():
    """For no rows, ROLLUP gives the row of the grand total in DuckDB, and nothing in Spark."""
    query = "SELECT i, count(*) FROM (SELECT 1 AS i) AS t WHERE false GROUP BY ROLLUP (i) UNION ALL SELECT 1, 5"
    assert duckdb.sql(sigdb.transpile(query, "duckdb")).fetchall() == [(None, 0), (1, 5)]
    assert "ROLLUP" in sigdb.transpile(query, "spark")


# In the toy atlas, S100A8 scores 6 in cell 0, and CD3E scores 9 in cell 1.
SCOPES = {
    "a table and a CTE": """
        SELECT max(score), (WITH wanted AS (SELECT 'CD3E' AS g) SELECT max(score)
            FROM signature_score((SELECT list(g) FROM wanted)))
        FROM signature_score((SELECT list(g) FROM wanted))""",
    "two CTEs": """
        SELECT (WITH w AS (SELECT 'CD3E' AS g) SELECT max(score) FROM signature_score((SELECT list(g) FROM w))),
            (WITH w AS (SELECT 'S100A8' AS g) SELECT max(score) FROM signature_score((SELECT list(g) FROM w)))""",
    "a population by name": """
        SELECT max(score), (WITH mine AS (SELECT 1 AS cell_id) SELECT max(score)
            FROM signature_hits(['CD3E', 'S100A8'], cells := 'mine'))
        FROM signature_hits(['CD3E', 'S100A8'], cells := 'mine')""",
    "a population by a name in quotes": """
        SELECT max(score), (WITH Mine AS (SELECT 1 AS cell_id) SELECT max(score)
            FROM signature_hits(['CD3E', 'S100A8'], cells := '"mine"'))
        FROM signature_hits(['CD3E', 'S100A8'], cells := '"mine"')""",
    "a view and a CTE": """
        SELECT count(*), (WITH cells AS (SELECT 1 AS cell_id) SELECT count(*)
            FROM signature_hits(['CD3E'], cells := 'cells'))
        FROM signature_hits(['CD3E'], cells := 'cells')""",
}


@pytest.mark.parametrize("name", SCOPES)
def test_a_name_keeps_its_meaning_in_each_scope(toy, bare_toy, name):
    for con in (toy, bare_toy):
        con.execute("CREATE OR REPLACE TEMP TABLE wanted AS SELECT 'S100A8' AS g")
        con.execute("CREATE OR REPLACE TEMP TABLE mine AS SELECT 0 AS cell_id")
    (expected,) = toy.execute(SCOPES[name]).fetchall()
    assert len(set(expected)) == 2
    assert bare_toy.execute(sigdb.transpile(SCOPES[name], "duckdb")).fetchall() == [expected]


def test_a_bare_column_with_the_name_of_an_inner_column_is_refused(toy, bare_toy):
    query = "SELECT {0}, signature_score({0}, ['CD3E']) FROM (SELECT cell_id AS _cell FROM cells) AS t ORDER BY 1"
    with pytest.raises(
        QueryError, match=r"_cell is also the name of a column inside the macro\. Qualify it, as in t\."
    ):
        sigdb.transpile(query.format("_cell"), "duckdb")
    expected = toy.execute(query.format("_cell")).fetchall()
    assert [score for _, score in expected] == [0, 9, 0]
    assert bare_toy.execute(sigdb.transpile(query.format("t._cell"), "duckdb")).fetchall() == expected


@pytest.mark.parametrize(("version", "function"), [("1.4.2", "REGEXP_FULL_MATCH"), ("2.0.0", "REGEXP_MATCHES")])
def test_a_tilde_has_the_meaning_of_the_installed_duckdb(monkeypatch, version, function):
    monkeypatch.setattr(duckdb, "__version__", version)
    assert function in sigdb.transpile("SELECT 'abc' ~ 'b'", "duckdb")
    if version == "1.4.2":
        with pytest.raises(
            QueryError, match=r"spark has no equivalent of a match of a whole text .* use regexp_matches"
        ):
            sigdb.transpile("SELECT 'abc' ~ 'b'", "spark")


def test_a_join_in_brackets_is_kept(toy, bare_toy):
    query = "SELECT sum(b.n_cells) FROM (query_table('cells') AS a JOIN samples AS b ON a.sample_id = b.sample_id)"
    assert bare_toy.execute(sigdb.transpile(query, "duckdb")).fetchall() == toy.execute(query).fetchall()


# What a dialect refuses: by macro or query, a word of the message.
PERCENTILE = {
    "score_calibration",
    "population_moments",
    "population_hits",
    "signature_calibration",
    "signature_hits",
    "sample_hit_rates",
    "calibration",
    "hits",
    "hits in cells",
    "hit rates",
    "hit rates in cells",
    "functions",
}
CONTROLS = {"control_genes", "null_scores", "null_moments", "signature_controls", "signature_null", "null", "controls"}
NO_MD5 = dict.fromkeys(CONTROLS, "md5_number")
NO_PERCENTILE = dict.fromkeys(PERCENTILE, "percentile")
NO_GREATEST = dict.fromkeys(("gene_strata", "signature_strata", "control_counts"), "greatest")
REFUSED = {
    "spark": {},
    "databricks": {},
    "snowflake": NO_MD5,
    "trino": NO_MD5 | NO_PERCENTILE | NO_GREATEST | {"exclude": "EXCLUDE"},
    "bigquery": NO_MD5
    | NO_PERCENTILE
    | NO_GREATEST
    | {
        "column aliases": "Named columns",
        "escapes": "ESCAPE",
        "lists of some rows": "FILTER",
    },
}
EVERYTHING = {**{each.name: each.example for each in OBJECTS}, **QUERIES}


# Spark's SQL runs in `make test-dialects`.
@pytest.mark.slow
@pytest.mark.parametrize("dialect", OTHERS)
@pytest.mark.parametrize("name", EVERYTHING)
def test_query_is_valid_sql_of_each_dialect_or_refused_by_name(name, dialect):
    if word := REFUSED[dialect].get(name):
        with pytest.raises(QueryError, match=rf"(?s){dialect}.*{word}"):
            sigdb.transpile(EVERYTHING[name], dialect)
        return
    written = sigdb.transpile(EVERYTHING[name], dialect)
    tree = sqlglot.parse_one(written, dialect=dialect)
    names = {macro.name for macro in macros().values() if macro.kind != "VIEW"}
    assert not names & {call.name.lower() for call in tree.find_all(sqlglot.exp.Anonymous)}
    tables = {table.name for table in tree.find_all(sqlglot.exp.Table) if table.db == "sigdb_data"}
    assert tables <= set(base_tables())


@pytest.mark.parametrize("dialect", OTHERS)
def test_checks_are_kept(dialect):
    functions = {"trino": "FAIL(", "bigquery": "ERROR(", "snowflake": "TO_NUMBER("}
    written = sigdb.transpile("FROM signature_score(['CD3E'])", dialect)
    assert functions.get(dialect, "RAISE_ERROR(") in written.upper()
    assert "not in this atlas" in written


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("FROM signature_score(['XYZ'])", "1 of 1 gene is not in this atlas: XYZ. check_genes"),
        ("SELECT count(*) FROM signature_score(['CD3E', 'CD3'])", "CD3 (did you mean CD3E?)"),
        ("SELECT signature_score(1, ['CD3E', NULL])", "1 of 2 genes is NULL"),
        ("FROM signature_score([])", "The list is empty"),
        ("FROM signature_score(['CD3E'], weights := [1, 2])", "2 weights for 1 gene"),
        ("FROM signature_score(['CD3E'], weights := [0])", "All weights are 0"),
        ("FROM signature_score(['CD3E', 'cd3e'], weights := [1, 2])", "Given more than once"),
        ("FROM signature_score(['CD3E'], agg := 'median')", "agg must be 'mean' or 'sum', not 'median'"),
        ("FROM signature_score(['CD3E'], run := 'other')", "There is no run 'other'"),
        ("FROM signature_scores(['NONE'])", "No such signature: NONE"),
        ("FROM signature_hits(['CD3E'], percentile := 101)", "percentile must be from 0 to 100, not 101"),
        ("FROM signature_hits(['CD3E'], cutoff := 1, sd := 1)", "Both cutoff and sd are given"),
        ("FROM signature_by_sample(['CD3E'], min_coverage := 2)", "min_coverage must be from 0 to 1, not 2"),
        ("FROM gene_importance(cell_type := 'none')", "No cells of this run have cell_type none"),
    ],
)
def test_expanded_query_refuses_what_a_macro_refuses(bare_toy, toy, query, text):
    for con, sql in ((toy, query), (bare_toy, sigdb.transpile(query, "duckdb"))):
        with pytest.raises(duckdb.Error) as error:
            con.execute(sql).fetchall()
        assert text in str(error.value)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT signature_score(1)", "signature_score needs genes"),
        ("FROM signature_score()", "signature_score needs genes"),
        ("FROM signature_score(['A'], wieghts := [1])", "no parameter wieghts. Did you mean 'weights'?"),
        ("FROM signature_score(['A'], agg := 'sum', agg := 'mean')", "agg is given twice"),
        ("FROM signature_score(['A'], genes := ['B'])", "genes is given twice"),
        ("FROM signature_score(agg := 'sum', ['A'])", "a positional argument follows a named one"),
        ("FROM signature_score(['A'], 1, 2, 3, 4, 5, 6, 7, 8)", "takes at most 7 arguments"),
        ("SELECT 1 + signature_hits(['A'])", "signature_hits returns a table, so it belongs in FROM"),
        ("FROM signature_genes('A')", "signature_genes is not a table macro"),
        ("FROM sigdb_data.signature_score(['A'])", "is not a table macro"),
        ("FROM sigdb_data.cell_date", "There is no table sigdb_data.cell_date. Did you mean 'cell_data'?"),
        ("FROM (SELECT ['A'] AS g) AS s, signature_score(s.g)", "genes is taken from another relation (s.g)"),
        ("SELECT signature_score(cell_id, genes) FROM t", "genes is taken from another relation (genes)"),
        ("FROM signature_hits(['A'], cells := lower('B'))", "is the name of a view or table"),
        ("FROM signature_score($genes)", "has a parameter, $genes"),
        ("FROM signature_score(?)", "has a parameter, ?"),
        ("SELECT 1; SELECT 2", "not 2 statements"),
        ("DROP TABLE cells", "DROP is not a query"),
        ("", "not 0 statements"),
        ("DESCRIBE cells", "DESCRIBE is not a query"),
        ("SELECT FROM WHERE", "not a query in DuckDB's SQL"),
    ],
)
def test_a_wrong_query_is_refused(query, text):
    with pytest.raises(QueryError) as error:
        sigdb.transpile(query, "spark")
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT kurtosis(n_counts) FROM cells", "the function kurtosis"),
        ("SELECT getvariable('g')", "the function getvariable"),
        ("SELECT bar(1, 0, 2)", "the function bar"),
        ("SELECT md5_number('a') AS n FROM cells", "md5_number as a value"),
        ("SELECT jaro_similarity('a', 'b')", "the function jaro_similarity"),
        ("FROM read_parquet('a.parquet')", "the function read_parquet"),
        ("SELECT [x + 1 FOR x IN [1, 2]]", "a list comprehension"),
        ("SELECT l[1:2] FROM t", "a slice"),
        ("SELECT l[-1] FROM t", "counted from the end"),
        ("SELECT list_extract(l, -1) FROM t", "counted from the end"),
        ("FROM range(3)", "generate_series and range as tables: unnest them"),
        ("SELECT generate_series(3, 1, -1)", "a series with a step other than"),
        ("SELECT substring('abc', 0, 2)", "a substring that does not start within the text: count from 1"),
        ("SELECT substring('abc', -2)", "a substring that does not start within the text"),
        ("SELECT regexp_full_match('a', 'b')", "a match of a whole text"),
        ("SELECT a, * FROM t ORDER BY ALL", "ORDER BY ALL of a *"),
        ("SELECT COLUMNS('n_.*') FROM cells", "COLUMNS"),
        ("SELECT MAP {'a': 1}", "a MAP"),
        ("SELECT * REPLACE (1 AS n_counts) FROM cells", "REPLACE"),
        ("FROM cells USING SAMPLE 10", "a sample"),
        ("FROM cells PIVOT (count(*) FOR study IN ('a'))", "PIVOT"),
        ("SELECT 1 = ANY (SELECT 2)", "ANY (...)"),
        ("SELECT 1 > ALL (SELECT 2)", "ALL (...)"),
        ("SELECT 'a' SIMILAR TO 'b'", "SIMILAR TO"),
        ("FROM cells LIMIT 10 %", "LIMIT of a percentage"),
        ("FROM a UNION ALL BY NAME FROM b", "UNION BY NAME"),
        ("SELECT any_value(a ORDER BY b) FROM t", "any_value(... ORDER BY ...)"),
        ("SELECT regexp_matches(a, b, 'm') FROM t", "the flag m"),
        ("FROM cells ASOF JOIN t ON cells.cell_id >= t.cell_id", "ASOF join"),
        ("SELECT cell_id FROM cells ORDER BY signature_score(cell_id, ['A'])", "in ORDER BY. Name the score first"),
        ("SELECT count(*) FROM cells GROUP BY signature_score(cell_id, ['A'])", "in GROUP BY"),
        ("FROM cells AS a JOIN t ON signature_score(a.cell_id, ['A']) > t.x", "in the condition of a join"),
    ],
)
def test_a_construct_without_an_equivalent_is_refused_by_name(query, text):
    with pytest.raises(QueryError) as error:
        sigdb.transpile(query, "spark")
    assert "spark has no" in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("query", "dialect", "text"),
    [
        ("SELECT list_transform([1], lambda x: x) FROM t", "bigquery", "list_transform"),
        ("SELECT list(i) FILTER (WHERE b) FROM t", "bigquery", "list(...) FILTER"),
        ("SELECT a LIKE 'b!_' ESCAPE '!' FROM t", "bigquery", "LIKE ... ESCAPE"),
        ("FROM a SEMI JOIN b USING (i)", "bigquery", "SEMI JOIN ... USING"),
        ("FROM a ANTI JOIN b USING (i)", "trino", "ANTI JOIN ... USING"),
    ],
)
def test_a_construct_that_one_dialect_lacks_is_refused_there(query, dialect, text):
    sigdb.transpile(query, "spark")
    with pytest.raises(QueryError) as error:
        sigdb.transpile(query, dialect)
    assert f"{dialect} has no equivalent of" in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("query", "dialect", "text"),
    [
        # For no rows, LISTAGG gives an empty text and ARRAY_AGG an empty list; DuckDB gives NULL.
        ("SELECT string_agg(s, ',') FROM t", "snowflake", "NULLIF(LISTAGG(s, ','), '')"),
        ("SELECT list(n) FROM t", "snowflake", "NULLIF(ARRAY_AGG(n), [])"),
        ("SELECT list(n) FILTER (b) FROM t", "snowflake", "NULLIF(ARRAY_AGG(IFF(b, n, NULL)), [])"),
        # FILTER also holds for the row with the largest key.
        ("SELECT arg_max(s, n) FILTER (b) FROM t", "snowflake", "MAX_BY(s, CASE WHEN b THEN CASE WHEN NOT s IS NULL"),
        # A mean of integers, or a quotient, would have six decimal places.
        ("SELECT avg(n) FROM t", "snowflake", "AVG(CAST(n AS DOUBLE))"),
        ("SELECT n // 7 FROM t", "snowflake", "TRUNC(CAST(n AS DOUBLE) / 7)"),
        # In DuckDB, a name is the same with and without quotes.
        ('SELECT t."Score" AS "of two words" FROM t', "snowflake", 't."SCORE" AS "of two words"'),
        ("SELECT regexp_matches(s, p, 'i') FROM t", "snowflake", "REGEXP_INSTR(s, p, 1, 1, 0, 'i') > 0"),
        # LISTAGG must have an order.
        ("SELECT string_agg(s, ',') FROM t", "trino", "LISTAGG(s, ',') WITHIN GROUP"),
    ],
)
def test_a_construct_keeps_the_meaning_that_it_has_in_duckdb(query, dialect, text):
    assert text in " ".join(sigdb.transpile(query, dialect).split())


def test_a_view_of_another_database_is_left_as_it_is():
    assert "FROM other.main.cells" in sigdb.transpile("SELECT n_genes FROM other.main.cells", "spark")
    assert "sigdb_data.cell_data" in sigdb.transpile("SELECT n_genes FROM main.cells", "spark")


def test_an_unknown_dialect_is_refused():
    with pytest.raises(QueryError, match=r"There is no dialect 'mysql'\. Choose one of spark, databricks, trino"):
        sigdb.transpile("FROM cells", "mysql")
    with pytest.raises(QueryError, match=r"There is no dialect 'trinio'\. Did you mean 'trino'\? Choose one of spark"):
        sigdb.transpile("FROM cells", "trinio")


def test_base_tables_are_in_the_given_schema():
    written = sigdb.transpile("SELECT sum(n_cells) FROM group_sizes, mine.other", "bigquery", schema="project.atlas")
    assert "project.atlas.group_sizes" in written
    assert "mine.other" in written
    assert "sigdb_data" not in written


def test_equal_calls_share_a_step_and_constants_are_folded():
    written = sigdb.transpile("FROM signature_score(['A']) UNION ALL FROM signature_score(['A'])", "duckdb")
    assert written.count("_signature_score AS (") == written.count("_signature_branch AS (") == 1
    for left_out in ("measured_factors", "signature_branch_2", "current_setting", "signature_score_2"):
        assert left_out not in written.lower()


def test_macros_read_the_attributions_of_signature_terms_only():
    """`sigdb.spark` relies on this: a macro that reads the attributions joins them with signature_terms.

    calibration_values reads other genes: the control genes.
    """
    tables = {
        name: {table.name for table in macro.body.find_all(sqlglot.exp.Table)} for name, macro in macros().items()
    }
    readers = [macro for name, macro in macros().items() if macro.kind != "VIEW" and "attributions" in tables[name]]
    assert {macro.name for macro in readers} == {"signature_branch", "gene_attributions", "calibration_values"}
    for macro in [each for each in readers if each.name != "calibration_values"]:
        (join,) = macro.body.args["joins"]
        assert join.side == ""
        assert join.args["on"].sql() == "a._run = t._run AND a._gene = t._gene"
        assert "signature_terms(" in join.this.sql("duckdb").lower()
