"""A value that is written into SQL text comes back from DuckDB as it was."""

from __future__ import annotations

import math
from decimal import Decimal

import duckdb
import numpy as np
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

import sigdb
from sigdb.errors import QueryError
from sigdb.literals import literal
from tests.support.lakes import examples

HOSTILE = (
    "",
    "'",
    "''",
    "'; DROP TABLE t; --",
    "\\'",
    "\0",
    "a\0'b",
    "$1 ? :x {y}",
    "/* */ --",
    "\u202e\N{GRINNING FACE}\n",
)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8")))
# The integers of HUGEINT, which is DuckDB's largest signed type.
integers = st.integers(-(2**127) + 1, 2**127 - 1)
scalars = st.one_of(st.none(), st.booleans(), integers, st.floats(), texts)
# The elements of a list, and the keys and values of a map, must have one type in DuckDB.
lists = st.one_of(*(st.lists(st.one_of(st.none(), each), max_size=5) for each in (st.booleans(), st.floats(), texts)))
maps = st.dictionaries(texts, st.one_of(st.none(), st.floats()), max_size=5)
values = st.one_of(scalars, lists, maps, st.lists(maps, max_size=2), st.dictionaries(texts, lists, max_size=1))


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        yield con


def same(found, value):
    """Whether a value of DuckDB is a value of Python. A number with a point is a DECIMAL until it meets a DOUBLE."""
    if isinstance(value, list):
        return len(found) == len(value) and all(map(same, found, value))
    if isinstance(value, dict):
        return found.keys() == value.keys() and all(same(found[key], each) for key, each in value.items())
    if isinstance(value, float):
        found = float(found) if isinstance(found, Decimal) else found
        return isinstance(found, float) and (found == value or (math.isnan(found) and math.isnan(value)))
    return type(found) is type(value) and found == value


@settings(max_examples=examples(200), deadline=None)
@given(value=values)
def test_every_value_comes_back(con, value):
    ((found,),) = con.execute("SELECT " + literal(value)).fetchall()
    assert same(found, value)


@settings(max_examples=examples(100), deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_becomes_the_same_double(con, value):
    ((found,),) = con.execute("SELECT CAST(" + literal(value) + " AS DOUBLE)").fetchall()
    assert found == value


@settings(max_examples=examples(100), deadline=None)
@given(value=texts)
def test_a_text_is_one_expression_for_the_parser_of_transpile_too(value):
    (tree,) = sqlglot.parse(f"SELECT {literal(value)} AS x", dialect="duckdb")
    assert tree.named_selects == ["x"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.float64(0.5), "0.5"), (np.int32(3), "3"), (np.array([1.5, 2.0]), "[1.5, 2.0]"), (("a", "b"), "['a', 'b']")],
)
def test_values_of_numpy_and_tuples(value, expected):
    assert literal(value) == expected


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", "\ud800", [["\ud800"]]])
def test_what_cannot_be_written_is_refused(value):
    with pytest.raises(QueryError, match="cannot be written in SQL"):
        literal(value)


def test_the_sql_of_an_answer_gives_its_rows(toy_path):
    """With names that would end a literal, and weights that no DECIMAL holds."""
    hostile = "it's \\ '; --"
    with sigdb.connect(toy_path) as con:
        answer = sigdb.group_scores(con, ["S100A8", "CD3E"], weights=[1 / 3, -2e-20], by="study", min_cells=1)
        assert len(con.execute(answer.sql).fetchall()) == len(answer.table) > 0
        missing = sigdb.group_scores(con, ["S100A8", hostile], missing="ignore", by="study", min_cells=1)
        assert len(con.execute(missing.sql).fetchall()) == len(missing.table) > 0
