"""A setting of DuckDB that the caller has chosen, as in a .duckdbrc, does not change an answer."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import duckdb
import pytest
import sqlglot
from sqlglot import exp

import sigdb
from sigdb.atlas import schema
from sigdb.statements import sql_root
from tests.support import ROOT
from tests.support.lakes import path_to_read
from tests.support.queries import QUERIES

if TYPE_CHECKING:
    from pathlib import Path


OF_EACH_FILE = pytest.mark.parametrize(
    "path", sorted(sql_root().rglob("*.sql")), ids=lambda path: str(path.relative_to(ROOT / "sql"))
)


def parse(path: Path) -> list[exp.Expr]:
    """The statements of a SQL file."""
    text = re.sub(r"USING COMPRESSION \w+", "", path.read_text(encoding="utf-8"))
    trees = sqlglot.parse(text, dialect="duckdb", error_level=sqlglot.ErrorLevel.IGNORE)
    return [tree for tree in trees if tree]


@OF_EACH_FILE
def test_every_order_has_a_direction(path):
    """`SET default_order = 'DESC'` would turn ranks and control genes around."""
    keys = [key for tree in parse(path) for order in tree.find_all(exp.Order) for key in order.expressions]
    assert [key.sql("duckdb") for key in keys if key.args.get("desc") is None] == []


@OF_EACH_FILE
def test_every_window_has_a_partition_or_an_order(path):
    """Up to 1.5.5, DuckDB fails at times at a window of all rows in any order, and the database can then not be used.

    `lag` is computed while rows are read, without such a window.
    """
    windows = [window for tree in parse(path) for window in tree.find_all(exp.Window) if not is_lag(window)]
    assert [each.sql() for each in windows if not each.args.get("partition_by") and not each.args.get("order")] == []


def is_lag(window: exp.Window) -> bool:
    return isinstance(window.this, exp.Lag)


# Settings that change what an expression means, or the order of rows and of work.
SETTINGS = {
    "default_order": ["DESC"],
    "default_null_order": ["NULLS_FIRST", "NULLS_FIRST_ON_ASC_LAST_ON_DESC"],
    "integer_division": ["true"],
    "ieee_floating_point_ops": ["false"],
    "error_on_division_by_zero": ["false"],
    "old_implicit_casting": ["true"],
    "legacy_disable_null_type": ["true"],
    "dialect_compatibility_mode": ["SPARK"],
    "scalar_subquery_error_on_multiple_rows": ["false"],
    "order_by_non_integer_literal": ["true"],
    "regex_match_operator_semantics": ["full"],
    "lambda_syntax": ["DISABLE_SINGLE_ARROW"],
    "TimeZone": ["America/New_York"],
    "preserve_insertion_order": ["false"],
    "preserve_identifier_case": ["false"],
    "prefer_range_joins": ["true"],
    "perfect_ht_threshold": ["0"],
    "dynamic_or_filter_threshold": ["1"],
    "nested_loop_join_threshold": ["100000"],
    "merge_join_threshold": ["100000"],
    "disabled_optimizers": ["filter_pushdown,statistics_propagation,join_order,deliminator,expression_rewriter"],
    "threads": ["1"],
}
EACH = [(name, value) for name, values in SETTINGS.items() for value in values]

# What depends on an order, on a division or on the names of NULL groups.
ORDERED = [
    "SELECT signature_genes('MYELOID'), signature_weights('MYELOID')",
    "FROM leading_genes(['S100A8', 'S100A9'])",
    "FROM signature_null(['S100A8', 'CD3E'], n_controls := 5)",
    "FROM signature_calibration(['S100A8', 'S100A9'], percentile := 50)",
    "FROM sample_hit_rates(['S100A8'], percentile := 40, min_cells := 1, against := 'cells')",
    "FROM gene_importance()",
    "FROM gene_coverage",
    "FROM check_genes(['P8', 's100a9', 'NOPE'])",
]
QUICK = ("default_order", "integer_division")


def answers(path: object, queries: list[str], setting: tuple[str, str] | None = None) -> list[list[object]]:
    """The rows of each query, in no order; numbers up to the last digits of sums."""
    with duckdb.connect(path, read_only=True) as con:
        if setting:
            try:
                con.execute(f"SET {setting[0]} = '{setting[1]}'")
            except duckdb.Error as error:
                pytest.skip(f"this DuckDB has no such setting: {error}")
        return [sorted([rounded(row) for row in con.execute(query).fetchall()], key=repr) for query in queries]


def rounded(value: object) -> object:
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return float(f"{value:.8g}") if isinstance(value, float) and not math.isnan(value) else value


@pytest.mark.file_only("the settings are those of any client of a file")
@pytest.mark.parametrize(("name", "value"), [each for each in EACH if each[0] in QUICK])
def test_a_setting_changes_no_order_and_no_division(toy_path, name, value):
    path = path_to_read(toy_path)
    assert answers(path, ORDERED, (name, value)) == answers(path, ORDERED)


@pytest.mark.file_only("the settings are those of any client of a file")
@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), EACH)
def test_a_setting_changes_no_answer(two_runs_path, toy_path, name, value):
    examples = [each.example for each in schema.objects() if each.name != "branch_size"]
    for path, queries in ((toy_path, [*ORDERED, *examples]), (two_runs_path, list(QUERIES.values()))):
        assert answers(path, queries, (name, value)) == answers(path, queries)


@pytest.mark.file_only("the settings are those of any client of a file")
@pytest.mark.parametrize("collation", ["NOCASE", "NOACCENT"])
def test_a_collation_that_makes_names_equal_is_refused(toy_path, collation):
    """Joins and comparisons would take two names for one: a gene, a signature, a sample."""
    with duckdb.connect(path_to_read(toy_path), read_only=True) as con:
        con.execute(f"SET default_collation = '{collation}'")
        for query in ("FROM signature_score(['CD3E'])", "FROM check_genes(['CD3E'])", "FROM gene_importance()"):
            with pytest.raises(duckdb.Error, match="default_collation makes different names equal"):
                con.execute(query).fetchall()
        con.execute("RESET default_collation")
        assert con.execute("SELECT signature_score(1, ['CD3E'])").fetchall() == [(9.0,)]


@pytest.mark.parametrize("setting", ["default_order = 'DESC'", "integer_division = true"])
def test_findings_of_python_do_not_depend_on_settings(toy, setting):
    def found() -> list[object]:
        genes = ["S100A8", "CD3E"]
        return [
            sigdb.group_scores(toy, genes, calibrated=False, min_cells=1).table.to_pylist(),
            sigdb.gene_dots(toy, genes, min_cells=1).table.to_pylist(),
            sigdb.score(toy, ["CD3E"]).to_pylist(),
        ]

    before = found()
    toy.execute(f"SET {setting}")
    assert found() == before
