"""Macros written out: in DuckDB they give what the macros give; for other engines they are refused, or valid SQL."""

from __future__ import annotations

import duckdb
import pytest
import sqlglot

import sigdb
from sigdb import statements
from sigdb.atlas import schema
from sigdb.dialects.expand import base_tables, macros
from sigdb.dialects.transpile import DIALECTS
from sigdb.errors import QueryError
from tests.support.queries import MEANINGS, QUERIES

OBJECTS = {each.sql: each for each in schema.objects()}.values()
OTHERS = [dialect for dialect in DIALECTS if dialect != "duckdb"]


def bare(path):
    """A DuckDB with the base tables of an atlas, and no macro or view of ours."""
    con = duckdb.connect()
    con.execute(f"ATTACH {statements.literal(str(path))} AS atlas (READ_ONLY)")
    con.execute("CREATE SCHEMA sigdb_data")
    for table in base_tables():
        con.execute(f"CREATE TABLE sigdb_data.{table} AS FROM atlas.sigdb_data.{table}")
    con.execute("DETACH atlas")
    return con


@pytest.fixture(scope="module")
def bare_toy(toy_path):
    with bare(toy_path) as con:
        yield con


@pytest.fixture(scope="module")
def bare_two(two_runs_path):
    with bare(two_runs_path) as con:
        yield con


@pytest.fixture(scope="module")
def two(two_runs_path):
    with sigdb.connect(two_runs_path) as con:
        yield con


def comparable(value):
    """A value of any engine, numbers as nine significant digits."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    return f"{float(value):.9g}" if not isinstance(value, list | tuple) else [comparable(each) for each in value]


def multiset(rows):
    """Rows in an order that does not depend on the engine's."""
    return sorted([comparable(value) for value in row] for row in rows)


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each.kind}-{each.name}")
def test_example_written_out_gives_what_the_header_says(bare_toy, each):
    ((value,), *rest) = bare_toy.execute(sigdb.transpile(each.example, "duckdb")).fetchall()
    assert rest == []
    assert str(value).lower() == each.expected.lower()


@pytest.mark.parametrize("name", QUERIES)
def test_query_written_out_gives_what_the_macros_give(bare_two, two, name):
    expected = two.execute(QUERIES[name]).fetchall()
    assert expected
    assert multiset(bare_two.execute(sigdb.transpile(QUERIES[name], "duckdb")).fetchall()) == multiset(expected)


@pytest.mark.parametrize("name", MEANINGS)
def test_a_query_without_macros_keeps_its_meaning(name):
    written = duckdb.sql(sigdb.transpile(MEANINGS[name], "duckdb"))
    assert multiset(written.fetchall()) == multiset(duckdb.sql(MEANINGS[name]).fetchall())


def test_groups_of_no_rows_are_kept():
    """Spark has none, of any ROLLUP; DuckDB has the sum of all."""
    query = "SELECT i, count(*) FROM (SELECT 1 AS i) AS t WHERE false GROUP BY ROLLUP (i) UNION ALL SELECT 1, 5"
    assert duckdb.sql(sigdb.transpile(query, "duckdb")).fetchall() == [(None, 0), (1, 5)]
    assert "ROLLUP" in sigdb.transpile(query, "spark")


# In the toy atlas, cell 0 has 6 of S100A8, cell 1 has 9 of CD3E.
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
def test_a_name_means_in_each_scope_what_it_means_there(toy, bare_toy, name):
    for con in (toy, bare_toy):
        con.execute("CREATE OR REPLACE TEMP TABLE wanted AS SELECT 'S100A8' AS g")
        con.execute("CREATE OR REPLACE TEMP TABLE mine AS SELECT 0 AS cell_id")
    (expected,) = toy.execute(SCOPES[name]).fetchall()
    assert len(set(expected)) == 2
    assert bare_toy.execute(sigdb.transpile(SCOPES[name], "duckdb")).fetchall() == [expected]


def test_a_column_called_as_one_inside_the_macro_is_refused_unless_qualified(toy, bare_toy):
    query = "SELECT {0}, signature_score({0}, ['CD3E']) FROM (SELECT cell_id AS _cell FROM cells) AS t ORDER BY 1"
    with pytest.raises(
        QueryError, match=r"_cell is also the name of a column inside the macro\. Qualify it, as in t\."
    ):
        sigdb.transpile(query.format("_cell"), "duckdb")
    expected = toy.execute(query.format("_cell")).fetchall()
    assert [score for _, score in expected] == [0, 9, 0]
    assert bare_toy.execute(sigdb.transpile(query.format("t._cell"), "duckdb")).fetchall() == expected


@pytest.mark.parametrize(("version", "written"), [("1.4.2", "REGEXP_FULL_MATCH"), ("2.0.0", "REGEXP_MATCHES")])
def test_a_tilde_means_what_it_means_in_the_installed_duckdb(monkeypatch, version, written):
    monkeypatch.setattr(duckdb, "__version__", version)
    assert written in sigdb.transpile("SELECT 'abc' ~ 'b'", "duckdb")
    if version == "1.4.2":
        with pytest.raises(
            QueryError, match=r"spark has no equivalent of a match of a whole text .* use regexp_matches"
        ):
            sigdb.transpile("SELECT 'abc' ~ 'b'", "spark")


def test_a_join_in_brackets_is_kept(toy, bare_toy):
    query = "SELECT sum(b.n_cells) FROM (query_table('cells') AS a JOIN samples AS b ON a.sample_id = b.sample_id)"
    assert bare_toy.execute(sigdb.transpile(query, "duckdb")).fetchall() == toy.execute(query).fetchall()


# What cannot be said: by macro or query, the word that the refusal names.
PERCENTILE = {"population_hits", "signature_hits", "sample_hit_rates", "hits", "hit rates", "functions"}
CONTROLS = {"control_genes", "null_moments", "signature_controls", "signature_null", "null", "controls"}
REFUSED = {
    "spark": {},
    "databricks": {},
    "snowflake": dict.fromkeys(CONTROLS, "md5_number_lower"),
    "trino": {
        **dict.fromkeys(CONTROLS, "md5_number_lower"), **dict.fromkeys(PERCENTILE, "percentile"),
        "gene_strata": "greatest", "exclude": "EXCLUDE",
    },
    "bigquery": {
        **dict.fromkeys(CONTROLS, "md5_number_lower"), **dict.fromkeys(PERCENTILE, "percentile"),
        "gene_strata": "greatest", "column aliases": "Named columns",
        "escapes": "ESCAPE", "lists of some rows": "FILTER",
    },
}  # fmt: skip
EVERYTHING = {**{each.name: each.example for each in OBJECTS}, **QUERIES}


@pytest.mark.parametrize("dialect", OTHERS)
@pytest.mark.parametrize("name", EVERYTHING)
def test_it_is_valid_sql_of_each_dialect_or_refused_by_name(name, dialect):
    if word := REFUSED[dialect].get(name):
        with pytest.raises(QueryError, match=rf"(?s){dialect}.*{word}"):
            sigdb.transpile(EVERYTHING[name], dialect)
        return
    written = sigdb.transpile(EVERYTHING[name], dialect)
    tree = sqlglot.parse_one(written, dialect=dialect)
    ours = {macro.name for macro in macros().values() if macro.kind != "VIEW"}
    assert not ours & {call.name.lower() for call in tree.find_all(sqlglot.exp.Anonymous)}
    tables = {table.name for table in tree.find_all(sqlglot.exp.Table) if table.db == "sigdb_data"}
    assert tables <= set(base_tables())


@pytest.mark.parametrize("dialect", OTHERS)
def test_checks_are_kept(dialect):
    names = {"trino": "FAIL(", "bigquery": "ERROR(", "snowflake": "TO_NUMBER("}
    written = sigdb.transpile("FROM signature_score(['CD3E'])", dialect)
    assert names.get(dialect, "RAISE_ERROR(") in written.upper()
    assert "genes are not in this atlas" in written


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("FROM signature_score(['XYZ'])", "1 of 1 genes are not in this atlas: XYZ. check_genes"),
        ("SELECT count(*) FROM signature_score(['CD3E', 'CD3'])", "CD3 (did you mean CD3E?)"),
        ("SELECT signature_score(1, ['CD3E', NULL])", "1 of 2 genes are NULL"),
        ("FROM signature_score([])", "The list is empty"),
        ("FROM signature_score(['CD3E'], weights := [1, 2])", "2 weights for 1 genes"),
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
def test_what_a_macro_refuses_is_refused_written_out(bare_toy, toy, query, text):
    for con, asked in ((toy, query), (bare_toy, sigdb.transpile(query, "duckdb"))):
        with pytest.raises(duckdb.Error) as error:
            con.execute(asked).fetchall()
        assert text in str(error.value)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT signature_score(1)", "signature_score needs genes"),
        ("FROM signature_score()", "signature_score needs genes"),
        ("FROM signature_score(['A'], wieghts := [1])", "no parameter wieghts (did you mean weights?)"),
        ("FROM signature_score(['A'], agg := 'sum', agg := 'mean')", "agg is given twice"),
        ("FROM signature_score(['A'], genes := ['B'])", "genes is given twice"),
        ("FROM signature_score(agg := 'sum', ['A'])", "a positional argument follows a named one"),
        ("FROM signature_score(['A'], 1, 2, 3, 4, 5, 6, 7, 8)", "takes at most 7 arguments"),
        ("SELECT 1 + signature_hits(['A'])", "signature_hits gives a table: it stands in FROM"),
        ("FROM signature_genes('A')", "signature_genes is not a table macro"),
        ("FROM sigdb_data.signature_score(['A'])", "is not a table macro"),
        ("FROM sigdb_data.cell_date", "There is no table sigdb_data.cell_date. Did you mean sigdb_data.cell_data?"),
        ("FROM (SELECT ['A'] AS g) AS s, signature_score(s.g)", "genes is taken from another relation (s.g)"),
        ("SELECT signature_score(cell_id, genes) FROM t", "genes is taken from another relation (genes)"),
        ("FROM signature_hits(['A'], cells := lower('B'))", "is the name of a view or table"),
        ("FROM signature_score($genes)", "has a parameter, $genes"),
        ("FROM signature_score(?)", "has a parameter, ?"),
        ("SELECT 1; SELECT 2", "not 2 statements"),
        ("DROP TABLE cells", "DROP is none"),
        ("", "not 0 statements"),
        ("DESCRIBE cells", "DESCRIBE is none"),
        ("SELECT FROM WHERE", "not SQL as DuckDB has it"),
    ],
)
def test_a_query_that_cannot_be_is_refused(query, text):
    with pytest.raises(QueryError) as error:
        sigdb.transpile(query, "spark")
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT kurtosis(n_counts) FROM cells", "the function kurtosis"),
        ("SELECT getvariable('g')", "the function getvariable"),
        ("SELECT bar(1, 0, 2)", "the function bar"),
        ("SELECT jaro_similarity('a', 'b')", "the function jaro_similarity"),
        ("FROM read_parquet('a.parquet')", "the function read_parquet"),
        ("SELECT [x + 1 FOR x IN [1, 2]]", "a list comprehension"),
        ("SELECT l[1:2] FROM t", "a slice"),
        ("SELECT l[-1] FROM t", "counted from the end"),
        ("SELECT list_extract(l, -1) FROM t", "counted from the end"),
        ("FROM range(3)", "generate_series and range as tables: unnest them"),
        ("SELECT generate_series(3, 1, -1)", "a series in other steps"),
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
def test_what_one_dialect_lacks_is_refused_there(query, dialect, text):
    sigdb.transpile(query, "spark")
    with pytest.raises(QueryError) as error:
        sigdb.transpile(query, dialect)
    assert f"{dialect} has no equivalent of" in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("query", "dialect", "text"),
    [
        # Of no texts, LISTAGG is empty, where DuckDB's string_agg is NULL.
        ("SELECT string_agg(s, ',') FROM t", "snowflake", "NULLIF(LISTAGG(s, ','), '')"),
        # A mean of integers would keep six decimals.
        ("SELECT list(n) FROM t", "snowflake", "NULLIF(ARRAY_AGG(n), [])"),
        ("SELECT list(n) FILTER (b) FROM t", "snowflake", "NULLIF(ARRAY_AGG(IFF(b, n, NULL)), [])"),
        # FILTER is of the row that has the largest value, too.
        ("SELECT arg_max(s, n) FILTER (b) FROM t", "snowflake", "MAX_BY(s, CASE WHEN b THEN CASE WHEN NOT s IS NULL"),
        ("SELECT avg(n) FROM t", "snowflake", "AVG(CAST(n AS DOUBLE))"),
        ("SELECT n // 7 FROM t", "snowflake", "TRUNC(CAST(n AS DOUBLE) / 7)"),
        # What is quoted in DuckDB is the same name as what is not.
        ('SELECT t."Score" AS "of two words" FROM t', "snowflake", 't."SCORE" AS "of two words"'),
        ("SELECT regexp_matches(s, p, 'i') FROM t", "snowflake", "REGEXP_INSTR(s, p, 1, 1, 0, 'i') > 0"),
        # LISTAGG has to have an order.
        ("SELECT string_agg(s, ',') FROM t", "trino", "LISTAGG(s, ',') WITHIN GROUP"),
    ],
)
def test_it_is_written_with_the_meaning_it_has_in_duckdb(query, dialect, text):
    assert text in " ".join(sigdb.transpile(query, dialect).split())


def test_a_view_of_another_database_is_the_callers():
    assert "FROM other.main.cells" in sigdb.transpile("SELECT n_genes FROM other.main.cells", "spark")
    assert "sigdb_data.cell_data" in sigdb.transpile("SELECT n_genes FROM main.cells", "spark")


def test_an_unknown_dialect_is_said():
    with pytest.raises(QueryError, match=r"There is no dialect 'mysql'\. It is one of spark, databricks, trino"):
        sigdb.transpile("FROM cells", "mysql")


def test_where_the_tables_are_can_be_said():
    written = sigdb.transpile("SELECT sum(n_cells) FROM group_sizes, mine.other", "bigquery", schema="project.atlas")
    assert "project.atlas.group_sizes" in written
    assert "mine.other" in written
    assert "sigdb_data" not in written


def test_the_same_step_is_written_once_and_what_constants_decide_is_left_out():
    written = sigdb.transpile("FROM signature_score(['A']) UNION ALL FROM signature_score(['A'])", "duckdb")
    assert written.count("_signature_score AS (") == written.count("_signature_branch AS (") == 1
    for undecided in ("measured_factors", "signature_branch_2", "current_setting", "signature_score_2"):
        assert undecided not in written.lower()


def test_scores_read_attributions_only_of_the_genes_asked():
    """What `sigdb.spark` relies on: a macro that reads the attributions joins them with signature_terms."""
    readers = [
        macro for macro in macros().values()
        if macro.kind != "VIEW" and "attributions" in {t.name for t in macro.body.find_all(sqlglot.exp.Table)}
    ]  # fmt: skip
    assert {macro.name for macro in readers} == {"signature_branch", "gene_attributions"}
    for macro in readers:
        (join,) = macro.body.args["joins"]
        assert join.side == ""
        assert join.args["on"].sql() == "a._run = t._run AND a._gene = t._gene"
        assert "signature_terms(" in join.this.sql("duckdb").lower()
