"""A macro of the caller with the name of a function of DuckDB does not change what our views and macros return."""

from __future__ import annotations

import re

import pytest

import sigdb
from sigdb.atlas.schema import objects
from sigdb.statements import full_names
from tests.support.lakes import assert_same

# Every function of DuckDB that a body calls.
CALLED = sorted({name for each in objects() for name in re.findall(r"system\.main\.(\w+)\(", full_names(each.sql))})
GENES = "['S100A8', 'CD3E']"
# No query calls a function itself.
ASKED = [
    f"SELECT signature_score(0, {GENES})",
    f"SELECT * FROM signature_score({GENES}, measured_only := true)",
    "SELECT * FROM signature_scores(signatures := NULL)",
    f"SELECT * FROM signature_hits({GENES}, against := 'cells')",
    f"SELECT * FROM signature_calibration({GENES})",
    f"SELECT * FROM sample_hit_rates({GENES}, min_cells := 1)",
    f"SELECT * FROM signature_by_sample({GENES}, min_coverage := 0.5)",
    f"SELECT * FROM signature_null({GENES}, n_controls := 20)",
    f"SELECT * FROM signature_controls({GENES}, n_controls := 2)",
    f"SELECT * FROM signature_contributions({GENES})",
    f"SELECT * FROM leading_genes({GENES})",
    f"SELECT * FROM gene_attributions({GENES})",
    f"SELECT * FROM check_genes({GENES})",
    "SELECT * FROM gene_importance()",
    "SELECT signature_genes('MYELOID'), signature_weights('MYELOID')",
    "SELECT * FROM signature_library",
    "SELECT * FROM gene_coverage",
    "SELECT * FROM samples",
    "SELECT * FROM studies",
]


def answers(con):
    """The rows of each query, in any order. DuckDB adds up the rows of several files in any order, too."""
    queries = [query.replace("signatures := NULL", "['T_CELL']") for query in ASKED]
    return [sorted(repr([*map(rounded, row)]) for row in con.execute(query).fetchall()) for query in queries]


def rounded(value):
    """A number without the digits that depend on the order of a sum."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


def capture(con, name):
    """Give the connection macros of this name, for each number of arguments."""
    bodies = [f"({', '.join(f'a{i}' for i in range(n))}) AS 77" for n in range(5)]
    con.execute(f'CREATE TEMP MACRO "{name}"{", ".join(bodies)}')


@pytest.fixture(scope="module")
def expected(toy_path):
    with sigdb.connect(toy_path) as con:
        return answers(con)


def test_many_functions_are_called():
    assert {"abs", "sum", "list_extract", "count", "row_number", "error", "nullif"} <= set(CALLED)


def test_no_macro_of_the_caller_is_called(toy, expected):
    for name in CALLED:
        capture(toy, name)
    assert toy.execute("SELECT abs(-1), sum(1)").fetchall() == [(77, 77)]
    assert answers(toy) == expected


def test_findings_and_scores_call_none_either(toy):
    before = sigdb.hits(toy, ["CD3E"], by="study", min_cells=1, min_samples=1).table
    score = sigdb.score(toy, ["CD3E"])
    for name in CALLED:
        capture(toy, name)
    after = sigdb.hits(toy, ["CD3E"], by="study", min_cells=1, min_samples=1).table
    assert_same(*([tuple(row.values()) for row in table.to_pylist()] for table in (after, before)))
    assert sigdb.score(toy, ["CD3E"]) == score


@pytest.mark.parametrize(
    ("plain", "full"),
    [
        ("SELECT abs(x), t.abs, abs FROM t", "SELECT system.main.abs(x), t.abs, abs FROM t"),
        ("SELECT count(*) FILTER (WHERE x IN (1))", "SELECT system.main.count(*) FILTER (WHERE x IN (1))"),
        ("SELECT sum (DISTINCT x) OVER (ORDER BY y)", "SELECT system.main.sum (DISTINCT x) OVER (ORDER BY y)"),
        ("SELECT * REPLACE (1 AS a), 2 + (3)", "SELECT * REPLACE (1 AS a), 2 + (3)"),
        ("FROM sigdb_data.abs(1), unnest([1])", "FROM sigdb_data.abs(1), system.main.unnest([1])"),
        ("SELECT 'abs(1)' -- abs(1)", "SELECT 'abs(1)' -- abs(1)"),
        ("SELECT coalesce(a, 1), CAST(a AS INT)", "SELECT coalesce(a, 1), CAST(a AS INT)"),
        (
            "SELECT list_filter(a, lambda x: x > abs(1))",
            "SELECT system.main.list_filter(a, lambda x: x > system.main.abs(1))",
        ),
    ],
)
def test_full_names(plain, full):
    assert full_names(plain) == full
    assert full_names(full) == full
