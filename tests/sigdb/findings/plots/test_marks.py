"""What the marks of each chart say, for findings made by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigdb.errors import QueryError
from sigdb.findings import plots
from sigdb.findings.plots.labels import SIDES, box_of, overlap, place_labels
from sigdb.findings.plots.theme import keep_highest, number, shorten, small
from sigdb.text import ordinal
from tests.sigdb.findings.plots.made import Case, comparison_of, draw, gene_comparison_of, group_scores_of, hits_of
from tests.sigdb.findings.plots.test_cases import data_of, rows_of, subtitle


def picture(chart, tmp_path):
    plots.save(chart, tmp_path / "chart.svg")
    return (tmp_path / "chart.svg").read_text()


def test_a_box_stands_for_five_samples_or_more(tmp_path):
    drawn = picture(plots.hit_rates(hits_of(Case(4))), tmp_path)  # groups 1 and 3 have six samples, the others one
    assert drawn.count('aria-roledescription="box"') == 2
    assert drawn.count('aria-roledescription="circle"') == 14


def test_the_only_sample_of_a_group_stands_on_its_line():
    jitter = {}
    for row in rows_of(plots.hit_rates(hits_of(Case(4))).to_dict()):
        jitter.setdefault(row["group"], []).append(row["jitter"])
    assert [each for group, each in jitter.items() if group.endswith("(1)")] == [[0], [0]]
    assert all(len(set(each)) == 6 for group, each in jitter.items() if group.endswith("(6)"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02048, "0.020"), (0.1775, "0.18"), (0.02, "0.020"), (1, "1.0"), (1e-5, "1.0e-05"), (None, "")],
)
def test_p_and_q_have_two_digits(value, text):
    assert small(value) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *[(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (13, "13th"), (92, "92nd"), (95, "95th")],
        *[(99.5, "99.5th"), (99.1, "99.1th"), (0, "0th"), (100, "100th"), (111, "111th"), (101, "101st")],
    ],
)
def test_ordinals(number, text):
    assert ordinal(number) == text


def test_what_was_not_measured_is_a_cross_and_no_zero():
    """The first group measured no gene, the second 3 of 10."""
    found = group_scores_of(Case(4))
    zero = found.table.set_column(found.table.column_names.index("z"), "z", pa.array([0.0, 1.0, 2.0, 3.0]))
    spec = plots.heat_map(type(found)(zero, found.sql)).to_dict()
    rows = {row["cell_type"]: row for row in rows_of(spec)}
    assert (rows["type 0"]["z"], rows["type 0"]["text"]) == (None, "\N{MULTIPLICATION SIGN}")
    assert [rows[name]["is_faint"] for name in ("(none)", "type 2", "type 3")] == [True, False, False]
    assert "Cross: no value" in subtitle(spec)
    assert "fewer than half" in subtitle(spec)


@pytest.mark.parametrize(
    ("chart", "unmeasured"),
    [
        ("dots", {(f"group {g}  (5)", "gene 0") for g in range(5)}),
        ("contributions", {("type 0  (1,000,000,000), study 0", f"gene {g}") for g in (3, 4)}),
    ],
)
def test_a_gene_that_was_not_measured_is_a_cross(chart, unmeasured, tmp_path):
    drawn = draw(chart, "few")
    (crosses,) = [layer for layer in drawn.to_dict()["layer"] if layer["mark"].get("text") == "\N{MULTIPLICATION SIGN}"]
    assert {(row["group"], row["gene"]) for row in crosses["data"]["values"]} == unmeasured
    assert "Cross: the gene was not measured in the group" in subtitle(drawn.to_dict())
    assert picture(drawn, tmp_path).count(">\N{MULTIPLICATION SIGN}</text>") == len(unmeasured)


@pytest.mark.parametrize("chart", ["heat_map", "dots", "contributions", "embedding"])
def test_dark_means_high(chart):
    text = draw(chart, "few").to_json()
    assert text.count('"scheme": "viridis"') == text.count('"reverse": true') >= 1


def test_a_row_without_a_test_says_why():
    spec = plots.effects(comparison_of(Case(4))).to_dict()
    rows = {row["name"]: row for rows in data_of(spec) for row in rows if "estimate" in row}
    row = rows["type 3, group 0, study 0"]
    assert (row["estimate"], row["effect"], row["p"]) == ("not tested: fewer than 3 units", None, "")
    row = rows["type 0, group 0, study 0"]
    assert row["estimate"].endswith("(\N{MINUS SIGN}2.00 to 500.00)")
    assert row["is_cut"]
    assert "reaches the frame goes on" in subtitle(spec)


def test_pairs_are_joined_from_the_reference_to_the_group():
    found = comparison_of(Case(1))
    spec = plots.effects(found).to_dict()
    rows = [row for rows in data_of(spec) for row in rows if "pair" in row]
    values = {(row["group"], row["pair"]): row["value"] for row in found.compared.to_pylist()}
    assert {(row["side"], row["pair"]): row["value"] for row in rows} == values
    assert [row["side"] for row in rows] == ["group 1", "group 0"] * 3
    for before, after in zip(rows[::2], rows[1::2], strict=True):
        assert before["kind"] == after["kind"] == ("higher" if after["value"] > before["value"] else "lower")


def test_the_measure_of_a_comparison_is_checked():
    with pytest.raises(QueryError, match=r"must be 'hedges_g' or 'difference', not 'diference'. Did you mean"):
        plots.effects(comparison_of(Case(1)), measure="diference")


def test_a_threshold_is_drawn_only_where_something_passes():
    found = gene_comparison_of(Case(20))
    assert "q = 0.05" in plots.volcano(found).to_json()
    column = found.table.column_names.index("q_value")
    none = found.table.set_column(column, "q_value", pa.array([0.5] * 20))
    assert "q = 0.05" not in plots.volcano(type(found)(**{**vars(found), "table": none})).to_json()


@given(
    points=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), min_size=1, max_size=40),
    n=st.integers(1, 10),
)
def test_labels_cover_neither_each_other_nor_points(points, n):
    places = np.array(points)
    texts = [f"GENE{i}" for i in range(len(points))]
    placed = place_labels(places, enumerate(texts), (300, 200), n)
    assert len(placed) <= n
    boxes = [box_of(places[i], texts[i], side) for i, side in placed.items()]
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert set(placed.values()) <= set(SIDES)
    for left, bottom, right, top in boxes:
        assert 0 <= left < right <= 300
        assert 0 <= bottom < top <= 200
        assert not any(left < x < right and bottom < y < top for x, y in points)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.floats() | st.none()), max_size=30),
    st.integers(1, 6),
)
def test_the_highest_groups_are_kept_whatever_their_values(pairs, n):
    rows = [{"key": key, "value": value} for key, value in pairs]
    kept, order, note = keep_highest(rows, "key", "value", n)
    groups = {key for key, _ in pairs}
    assert len(order) == min(n, len(groups))
    assert {row["key"] for row in kept} == set(order)
    assert bool(note) == (len(groups) > n)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (-0.3, "\N{MINUS SIGN}0.30"), (0.01234, "0.012"), (1234.5, "1234.50"), (1e300, "1e+300")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_long_names_keep_their_end(tmp_path):
    found = hits_of(Case(2, suffix=" " + "x" * 200 + " END"))
    drawn = picture(plots.hit_rates(found), tmp_path)
    assert "END" in drawn
    assert "\N{HORIZONTAL ELLIPSIS}" in drawn
    assert "slice" in shorten(200)
