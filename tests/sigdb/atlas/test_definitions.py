"""Definitions that mean the same in every version of DuckDB, and definitions that do not."""

from __future__ import annotations

import pytest

from sigdb.atlas.definitions import is_same

UNION = "SELECT a FROM t UNION ALL SELECT a FROM u"


@pytest.mark.parametrize(
    "other",
    [
        "(SELECT a FROM t) UNION ALL (SELECT a FROM u)",
        "SELECT (a) FROM t UNION ALL SELECT a FROM u",
    ],
)
def test_parentheses_that_change_nothing(other):
    assert is_same(UNION, other)


def test_unions_may_be_nested_in_any_way():
    assert is_same(
        "SELECT 1 UNION ALL (SELECT 2 UNION ALL SELECT 3)", "(SELECT 1 UNION ALL SELECT 2) UNION ALL SELECT 3"
    )


@pytest.mark.parametrize(
    "other",
    [
        f"{UNION} LIMIT 0",
        f"{UNION} OFFSET 1",
        f"{UNION} ORDER BY a",
        f"WITH t AS (SELECT 1 AS a) {UNION}",
        UNION.replace("UNION ALL", "UNION ALL BY NAME"),
        UNION.replace("UNION ALL", "UNION"),
        UNION.replace("UNION ALL", "EXCEPT"),
        UNION.replace("FROM u", "FROM u LIMIT 0"),
        UNION.replace("FROM t", "FROM t WHERE false"),
        "SELECT a FROM u UNION ALL SELECT a FROM t",
    ],
)
def test_other_rows_are_another_definition(other):
    assert not is_same(UNION, other)
