"""Tables fit the terminal, and say what they leave out."""

from __future__ import annotations

import io
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from sigdb.cli import output
from sigdb.cli.added import wide
from sigdb.cli.output import Terminal
from sigdb.cli.tables import fit, make_columns, table_lines, width_of, write_table
from tests.sigdb.cli.conftest import run, words


def table(names: list[str], rows: list[tuple[object, ...]], width: int | None = None) -> list[str]:
    """The lines of a table."""
    out = io.StringIO()
    write_table(names, rows, Terminal(file=out, width=width or 160), width)
    return out.getvalue().splitlines()


def test_numbers_stand_below_each_other():
    rows = [("a", 1775, 13.46, 1775, 2024), ("bb", None, 0.08173, 3, 1999), ("c", 22, -2241.3, 12, None)]
    assert table(["name", "n", "score", "cell_id", "year"], rows) == [
        "name       n          score   cell_id   year",
        "────────────────────────────────────────────",
        "a      1,775       13.46         1775   2024",
        "bb                  0.08173         3   1999",
        "c         22   -2,241              12",
    ]


def test_a_wide_table_names_what_is_the_same_in_all_rows():
    rows = [(f"group {i}", i, 4, None) for i in range(3)]
    lines = table(["label", "n", "n_genes", "note"], rows, 20)
    assert words(" ".join(lines[:3])) == "In every row: n_genes 4, note (empty)."
    assert lines[3].split() == ["label", "n"]
    assert table(["label", "n", "n_genes", "note"], rows, 80)[0].split() == ["label", "n", "n_genes", "note"]
    assert table(["label", "n", "n_genes", "note"], rows[:1], 20)[0].split()[0] == "label"


def test_columns_in_the_middle_are_hidden_and_named():
    names, rows = [f"column_{i}" for i in range(9)], [tuple(range(i, i + 9)) for i in range(2)]
    lines = table(names, rows, 50)
    assert lines[0].split() == ["column_0", "column_1", "column_2", "…", "column_8"]
    assert lines[2].split() == ["0", "1", "2", "…", "8"]
    assert words(" ".join(lines[4:])) == (
        "5 columns are hidden: column_3, column_4, column_5, column_6, column_7. --wide shows everything."
    )
    token = wide.set(True)
    assert table(names, rows, 50) == table(names, rows)
    wide.reset(token)


def test_a_narrow_column_stays_where_a_wide_one_has_no_room():
    names = ["label", "cells", "score", "a_column_with_a_long_name", "z"]
    lines = table(names, [("a", 1, 2.5, 3, 4.5), ("b", 2, 3.5, 4, 5.5)], 36)
    assert lines[0].split() == ["label", "cells", "score", "…", "z"]
    assert lines[2].split() == ["a", "1", "2.5", "…", "4.5"]


def test_long_texts_are_cut_before_columns_are_hidden():
    lines = table(["a", "b"], [("x" * 100, 1), ("y", 2)], 60)
    assert lines[2].split() == ["x" * 39 + "…", "1"]
    assert lines[-1] == "Long texts are cut. --wide shows everything."


def test_important_columns_are_hidden_last():
    names, rows = [f"column_{i}" for i in range(9)], [tuple(range(i, i + 9)) for i in range(2)]
    shown, _, below = fit(make_columns(names, rows), 53, ["column_7", "column_4"])
    assert [column.name for column in shown] == ["column_0", "column_1", "…", "column_4", "…", "column_7", "…"]
    assert "5 columns are hidden: column_2, column_3, column_5, column_6, column_8." in below
    shown, _, _ = fit(make_columns(names, rows), 30, ["column_7", "column_4"])
    assert [column.name for column in shown] == ["column_0", "…", "column_7", "…"]


# Command -> the columns that its table shows on a terminal of 80 and of 120 columns.
FINDINGS = {
    "score ATLAS MS1": ("score cell_type", "score cell_type coverage"),
    "score ATLAS MS1 --by study,cell_type": ("cell_type score z hit_rate", "cell_type score z hit_rate n_cells"),
    "leading ATLAS MS1": ("gene share contribution", "cell_type gene share contribution"),
    "null ATLAS MS1 --n-controls 20": ("cell_type z p_value q_value", "cell_type score z p_value q_value"),
    "hits ATLAS MS1 --samples": ("sample hit_rate n_cells", "sample n_hits hit_rate n_cells donor"),
}


@pytest.mark.parametrize("command", FINDINGS)
def test_a_narrow_terminal_shows_what_a_finding_says(demo_path, command, monkeypatch):
    printed = mock.Mock()
    monkeypatch.setattr(output, "print_table", printed)
    run(*(demo_path if word == "ATLAS" else word for word in command.split()))
    names, rows, important = printed.call_args.args
    for width, columns in zip((80, 120), FINDINGS[command], strict=True):
        shown, _, _ = fit(make_columns(names, rows), width, important)
        assert width_of(shown) <= width
        assert set(columns.split()) <= {column.name for column in shown}


def test_a_pipe_has_no_width(toy_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    _, out, _ = run("sql", toy_path, "FROM cells")
    assert "barcode" in out.splitlines()[0]
    assert "hidden" not in out


NAMES = st.sampled_from([f"column_{i}" for i in range(6)])
CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=60))


@settings(max_examples=60)
@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.tuples(*[CELLS] * n), max_size=4)),
    st.integers(1, 120),
    st.lists(st.sampled_from([f"column_{i}" for i in range(6)])),
)
def test_a_table_fits_or_shows_its_first_column_alone(rows, width, important):
    """Nothing is lost without a word: each column is shown, named above, or counted below."""
    names = [f"column_{i}" for i in range(len(rows[0]) if rows else 3)]
    shown, above, below = fit(make_columns(names, rows), width, important)
    visible = [column.name for column in shown if column.name != "…"]
    assert len(set(visible)) == len(visible)
    hidden = [name for name in names if f"{name} " in above or f"{name}," in below or f"{name}." in below]
    assert sorted([*visible, *hidden]) == names
    assert width_of(shown) <= width or len(visible) == 1
    assert all(cell_len(line) <= width_of(shown) for line in table_lines(shown))
