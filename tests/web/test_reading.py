"""What the page's own DuckDB may be asked: one statement that reads, as for the server."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigdb.serve.limits import Refused
from sigdb.serve.reading import check_reads

KINDS = ("identifier", "numeric_const", "string_const", "operator", "keyword", "comment")
READS = [
    "SELECT 1;",
    "-- a comment\n(SELECT ';' AS x)",
    "FROM range(3)",
    "WITH t AS (SELECT 1 AS x) FROM t",
    "VALUES (1), (2)",
    "DESCRIBE SELECT 1",
    "SUMMARIZE SELECT 1",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE (SELECT 1)",
    "EXPLAIN (FORMAT json) SELECT 1",
    "PIVOT (SELECT 1 AS a, 'x' AS b) ON b USING sum(a)",
    "SELECT $$;$$, e'\\';', /* /* ; */ ; */ 1",
]
ACTS = [
    "CREATE TEMP MACRO m() AS 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; CREATE TEMP MACRO m() AS 1",
    "EXPLAIN ANALYZE CREATE TEMP MACRO m() AS 1",
    "EXPLAIN (ANALYZE) CREATE TEMP MACRO m() AS 1",
    "/* /* */ ' */ ; CREATE TEMP MACRO m() AS 1 --'",
    "; DROP VIEW cells",
    "SELECT 1,\N{NO-BREAK SPACE}e'\\'' ; CREATE TEMP MACRO m() AS 1 --'",
    "SET threads = 1",
    "PRAGMA version",
    "ATTACH ':memory:' AS x",
    "COPY (SELECT 1) TO 'x.csv'",
    "CALL pragma_version()",
    "-- only a comment",
    "",
]
# Texts of pieces in which a semicolon, a quote and a comment can hide.
PIECES = [
    "SELECT 1",
    "CREATE TEMP MACRO m() AS 1",
    ";",
    "'",
    "''",
    "\\'",
    "e'",
    "$$",
    "$a$",
    '"',
    "/*",
    "*/",
    "--",
    "\n",
    " ",
    "é",
    ",",
]
PIECES += ["\N{NO-BREAK SPACE}", "EXPLAIN", "ANALYZE", "(", ")"]


@pytest.fixture(scope="module")
def client():
    with duckdb.connect() as client:
        yield client


def refusal(call_node, sql: str) -> str | None:
    """What the page says, with the tokens of DuckDB."""
    plain = sql.translate(dict.fromkeys(map(ord, "\N{NO-BREAK SPACE}\N{EM SPACE}"), " "))
    for text in dict.fromkeys((sql, plain)):
        found = duckdb.tokenize(text)
        tokens = {"offsets": [at for at, _ in found], "types": [KINDS.index(kind.name) for _, kind in found]}
        if said := call_node("engines/reading.js", "refusalOf", text, tokens):
            return said
    return None


@pytest.mark.parametrize("sql", READS)
def test_one_statement_that_reads_is_asked(call_node, client, sql):
    assert refusal(call_node, sql) is None
    check_reads(client, sql)


@pytest.mark.parametrize("sql", ACTS)
def test_other_statements_are_refused(call_node, client, sql):
    assert "A query here is one statement that reads" in refusal(call_node, sql)
    with pytest.raises((Refused, duckdb.Error)):
        check_reads(client, sql)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
@given(
    st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
)
def test_no_text_hides_a_second_statement(call_node, client, before, after):
    """DuckDB finds at most one statement in a text that the page asks, and it reads."""
    sql = f"SELECT 1 {before}; CREATE TEMP MACRO m() AS 1 {after}"
    try:
        found = client.extract_statements(sql)
    except duckdb.Error:
        return
    if refusal(call_node, sql) is None:
        assert [each.type.name for each in found] in (["SELECT"], ["EXPLAIN"])
        check_reads(client, sql)
