"""Values as SQL literals, through the engines: any text, number, truth value and list is what the statement reads."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.web.conftest import opened

ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
NUMBER = st.floats(width=64)
VALUE = st.none() | st.booleans() | WHOLE | NUMBER | TEXT
LIST = st.lists(TEXT, min_size=1) | st.lists(st.none() | WHOLE, min_size=1) | st.lists(NUMBER, min_size=1)


@pytest.fixture(scope="module")
def engine(chromium, address):
    """A page of each engine."""
    with opened(chromium) as page:
        page.open(f"{address}/#tab=sql")
        yield page


def same(one, other):
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return (math.isnan(one) and math.isnan(other)) or one == float(other)
    return one == other


@ONCE
@given(VALUE | LIST)
@example("'); DROP TABLE cells; --")
@example("a\0b'\\\n$$\"")
@example(["''", "\N{PILE OF POO}", "{}", "E'\\''"])
@example(0.1)
@example(5e-324)
def test_a_literal_is_the_value(engine, value):
    found = engine.page.evaluate(
        "async (value) => (await sigdb.app.ask(`SELECT ${sigdb.literal(value)} AS x`)).rows[0].x", value
    )
    assert same(value, found)


@ONCE
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_an_identifier_is_the_name(engine, name):
    script = "async (name) => (await sigdb.app.ask(`SELECT 1 AS ${sigdb.identifier(name)}`)).columns[0].name"
    assert engine.page.evaluate(script, name) == name


@ONCE
@given(st.lists(st.none() | st.sampled_from(["wu2020_tcell", "it's", "\\N", "x' OR 'a' = 'a", ""]), unique=True), TEXT)
def test_a_filter_keeps_the_cells_of_its_values(engine, con, values, other):
    """The condition that the page writes, against the same question in Python with bound values."""
    chosen = [*values, other]
    found = engine.page.evaluate(
        """async (values) => {
            sigdb.app.state = { cell_type: values, study: values };
            const condition = sigdb.app.condition("c.");
            return (await sigdb.app.ask(`SELECT count(*) AS n FROM cells AS c WHERE ${condition}`)).rows[0].n;
        }""",
        chosen,
    )
    stated = [each for each in chosen if each is not None]
    one = "(list_contains($stated, c.{0}) OR ($has_none AND c.{0} IS NULL))"
    query = f"SELECT count(*) FROM cells AS c WHERE {one.format('study')} AND {one.format('cell_type')}"
    assert con.execute(query, {"stated": stated, "has_none": None in chosen}).fetchall() == [(found,)]


def test_a_zero_keeps_its_sign(engine):
    """The driver of the browser does not, so the page compares."""
    script = "async (x) => Object.is((await sigdb.app.ask(`SELECT ${sigdb.literal(x)} AS x`)).rows[0].x, x)"
    assert engine.page.evaluate(f"() => ({script})(-0)")
    assert engine.page.evaluate(f"() => ({script})(0)")


def test_what_is_no_value_is_refused(engine):
    for script, says in {
        "() => sigdb.literal('\\ud800')": "half a surrogate pair",
        "() => sigdb.literal(() => 1)": "cannot be written as SQL",
        "() => sigdb.identifier('')": "cannot be the name",
        "() => sigdb.identifier('a\\0b')": "cannot be the name",
        "() => sigdb.fill('SELECT $x')": "needs a value for $x",
    }.items():
        with pytest.raises(Exception, match=says.replace("$", r"\$")):
            engine.page.evaluate(script)


def test_values_are_put_into_code_only(engine):
    statement = "SELECT $a AS x, '$a' AS y, \"$a\" AS z, word -- $a word\n/* $a */ FROM word WHERE 'word' = \"word\""
    filled = engine.page.evaluate("(sql) => sigdb.fill(sql, { a: \"it's\" }, { word: 'w' })", statement)
    assert (
        filled == "SELECT 'it''s' AS x, '$a' AS y, \"$a\" AS z, w -- $a word\n/* $a */ FROM w WHERE 'word' = \"word\""
    )
    quoted = r"SELECT $$ $a $$, $t$ $a $$ $t$, E'\' $a', e'\\', $a"
    assert engine.page.evaluate("(sql) => sigdb.fill(sql, { a: 1 })", quoted) == quoted.removesuffix("$a") + "1"
    assert len(engine.ask(quoted.removesuffix("$a") + "1")[0]) == 5


def test_types_become_values_of_the_page(engine):
    sql = """SELECT 9007199254740991::BIGINT AS big, sum(n) AS huge, 1.25::DECIMAL(9, 2) AS dec,
        DATE '2026-01-02' AS day, TIMESTAMP '2026-01-02 03:04:05' AS at, [1, NULL] AS list, MAP {'a': 1} AS map,
        {'x': 'y'} AS struct, true AS yes, NULL AS none, 1::UTINYINT AS tiny, 'a'::ENUM ('a', 'b') AS kind
        FROM range(3) AS t(n)"""
    assert engine.ask(sql) == [
        {
            "big": 9007199254740991,
            "huge": 3,
            "dec": 1.25,
            "day": "2026-01-02",
            "at": "2026-01-02 03:04:05",
            "list": [1, None],
            "map": {"a": 1},
            "struct": {"x": "y"},
            "yes": True,
            "none": None,
            "tiny": 1,
            "kind": "a",
        }
    ]


def test_a_number_that_the_page_cannot_hold_stays_exact(engine):
    assert engine.page.evaluate(
        "async () => String((await sigdb.app.ask('SELECT 9007199254740993 AS x')).rows[0].x)"
    ) == ("9007199254740993")


def test_a_column_may_have_any_name(engine):
    script = "async (sql) => Object.entries((await sigdb.app.ask(sql)).rows[0])"
    assert engine.page.evaluate(script, 'SELECT 1 AS "__proto__", 2 AS constructor') == [
        ["__proto__", 1],
        ["constructor", 2],
    ]


def test_columns_of_one_name_are_kept(engine):
    assert sorted(engine.ask('SELECT 1 AS a, 2 AS a, 3 AS "a:2"')[0].values()) == [1, 2, 3]
