"""What the marks of each chart say, for findings made by hand."""

from __future__ import annotations

import html
import json
import re
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sigdb.answers import Answer
from sigdb.errors import QueryError
from sigdb.findings import plots
from sigdb.findings.plots.labels import SIDES, box_of, overlap, place_labels
from sigdb.findings.plots.spec import About, Limit, left_out
from sigdb.findings.plots.theme import number, shorten, small
from sigdb.text import ordinal
from tests.sigdb.findings.plots.made import (
    CHARTS,
    Case,
    comparison_of,
    draw,
    gene_comparison_of,
    group_scores_of,
    hits_of,
)
from tests.sigdb.findings.plots.test_cases import data_of, subtitle


def picture(chart, tmp_path):
    plots.save(chart, tmp_path / "chart.svg")
    return (tmp_path / "chart.svg").read_text()


def marks(chart, tmp_path, kind):
    """The marks of a kind in the picture of a chart, with what each says to a screen reader: its fields and values."""
    drawn = re.findall(
        rf'aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="{kind}"', picture(chart, tmp_path)
    )
    return [dict(part.split(": ", 1) for part in html.unescape(label).split("; ")) for label in drawn]


def test_a_box_stands_for_five_samples_or_more(tmp_path):
    drawn = picture(plots.hit_rates(hits_of(Case(4))), tmp_path)  # groups 1 and 3 have six samples, the others one
    assert drawn.count('aria-roledescription="box"') == 2
    assert drawn.count('aria-roledescription="circle"') == 14


def test_the_only_sample_of_a_group_stands_on_its_line(tmp_path):
    jitter = {}
    for mark in marks(plots.hit_rates(hits_of(Case(4))), tmp_path, "circle"):
        jitter.setdefault(mark["disease (samples)"], []).append(mark["jitter"])
    assert [each for group, each in jitter.items() if group.endswith("(1)")] == [["0"], ["0"]]
    assert [len(set(each)) for group, each in jitter.items() if group.endswith("(6)")] == [6, 6]


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


def test_what_was_not_measured_is_a_cross_and_no_zero(tmp_path):
    """The first group measured no gene, the second 3 of 10."""
    found = group_scores_of(Case(4))
    zero = found.table.set_column(found.table.column_names.index("z"), "z", pa.array([0.0, 1.0, 2.0, 3.0]))
    chart = plots.heat_map(type(found)(zero, found.sql))
    texts = {mark["row"]: mark["text"] for mark in marks(chart, tmp_path, "text mark") if "text" in mark}
    assert texts == {"type 0": "\N{MULTIPLICATION SIGN}", "(none)": "1.00", "type 2": "2.00", "type 3": "3.00"}
    squares = [mark["row"] for mark in marks(chart, tmp_path, "rect mark")]
    assert sorted(squares) == ["(none)", "(none)", "type 2", "type 3"]  # the square of few genes has a border
    drawn = picture(chart, tmp_path)
    assert drawn.count('opacity="0.4"') == drawn.count('stroke-dasharray="3,2"') == 1
    assert "Cross: no value" in subtitle(chart.to_dict())
    assert "fewer than half" in subtitle(chart.to_dict())


@pytest.mark.parametrize(
    ("chart", "unmeasured"),
    [
        ("dots", {(f"group {g}  (5)", "gene 0") for g in range(5)}),
        ("contributions", {("type 0  (1,000,000,000), study 0", f"gene {g}") for g in (3, 4)}),
    ],
)
def test_a_gene_that_was_not_measured_is_a_cross(chart, unmeasured, tmp_path):
    drawn = draw(chart, "few")
    crosses = [mark for mark in marks(drawn, tmp_path, "text mark") if "gene" in mark]
    assert {(mark["group"], mark["gene"]) for mark in crosses} == unmeasured
    assert "Cross: the gene was not measured in the group" in subtitle(drawn.to_dict())
    assert picture(drawn, tmp_path).count(">\N{MULTIPLICATION SIGN}</text>") == len(unmeasured)


@pytest.mark.parametrize("chart", ["heat_map", "dots", "contributions", "embedding"])
def test_dark_means_high(chart):
    text = draw(chart, "few").to_json()
    assert text.count('"scheme": "viridis"') == text.count('"reverse": true') >= 1


def colours_of(values, tmp_path):
    """The colour of each square of a heat map by its value, and the labels of the legend."""
    found = group_scores_of(Case(len(values)))
    columns = {name: found.table[name] for name in found.table.column_names}
    columns |= {"z": pa.array(values), "least_measured": columns["n_genes"]}
    drawn = picture(plots.heat_map(type(found)(pa.table(columns), found.sql)), tmp_path)
    squares = re.findall(r'; z: ([^;]*);[^>]*aria-roledescription="rect mark"[^>]*fill="([^"]*)"', drawn)
    labels = [text for text in re.findall(r">([^<>]*)</text>", drawn) if text.endswith((" and above", " and below"))]
    return {float(z.replace("\u2212", "-")): colour for z, colour in squares}, labels


def test_one_extreme_value_does_not_take_all_colours(tmp_path):
    """Of ten squares, the largest has the colour of the second, by which all others are coloured."""
    rest = [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]
    extreme, labels = colours_of([*rest, 90], tmp_path)
    near, _ = colours_of([*rest, 4.6], tmp_path)
    assert extreme[90] == extreme[4.5] == near[4.6]
    assert [extreme[z] for z in rest] == [near[z] for z in rest]
    assert len(set(extreme.values())) == 9
    assert labels == ["4.5 and above"]
    low, labels = colours_of([*rest, -90], tmp_path)
    assert len(set(low.values())) == 10
    assert sorted(labels) == ["4.5 and above", "\u22124.5 and below"]


def test_few_squares_and_squares_of_mostly_0_have_all_colours(tmp_path):
    few, _ = colours_of([0.5, 1, 90], tmp_path)
    assert len(set(few.values())) == 3
    zeros, labels = colours_of([0.0] * 19 + [2], tmp_path)
    assert zeros[0] != zeros[2]
    assert labels == ["2 and above"]


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
    st.sampled_from(["max", "sum"]),
)
def test_the_highest_groups_are_kept_whatever_their_values(pairs, n, how):
    rows = [{"key": key, "value": value} for key, value in pairs]
    kept, notes = left_out(rows, asdict(About([], limits=[Limit(["key"], n, "value", how)])))
    groups = {key for key, _ in pairs}
    assert len({row["key"] for row in kept}) == min(n, len(groups))
    assert bool(notes) == (len(groups) > n)


@pytest.mark.parametrize("chart", ["hit_rates", "heat_map", "intervals", "top_genes", "distributions", "dots"])
def test_what_is_left_out_in_words_is_what_the_specification_leaves_out(chart, tmp_path):
    """Python counts the groups that are left out; the specification leaves them out. Both give the same groups."""
    plot, make = CHARTS[chart]
    found = make(Case(30))
    n = {"n_genes": 7} if chart == "top_genes" else {"n_groups": 7}
    spec = plot(found, **n).to_dict()
    drawn = picture(plot(found, **n), tmp_path)
    rows = (found.samples if chart == "hit_rates" else found.table).to_pylist()
    whole = {**spec, "datasets": {"table": json.loads(json.dumps(rows))}}
    assert re.sub(r"\bgradient_\w+|clip\d+", "", vl_convert.vegalite_to_svg(whole)) == re.sub(
        r"\bgradient_\w+|clip\d+", "", drawn
    )


@pytest.mark.parametrize("chart", ["contributions", "null_scores"])
def test_the_specification_keeps_the_highest_groups(chart, tmp_path):
    plot, make = CHARTS[chart]
    found = make(Case(30))
    by = {"contributions": "score", "null_scores": "z"}[chart]
    groups = {row["cell_type"]: row[by] for row in found.table.to_pylist()}
    highest = sorted(groups, key=lambda name: -groups[name])[:4]
    texts = [mark for mark in marks(plot(found, n_groups=4), tmp_path, "text mark") if "gene" not in mark]
    shown = {(mark.get("group") or mark["name"]).partition("  (")[0] for mark in texts}
    assert shown == {name or "(no type)" for name in highest}


def test_the_quantiles_of_t():
    """The interval of a group is mean plus and minus t times the standard error, with units - 1 degrees of freedom."""
    free = [1, 2, 3, 5, 10, 11, 12, 20, 50, 1000]
    table = pa.table(
        {
            "label": [f"d{n}" for n in free],
            "cell_type": ["t"] * len(free),
            "z": [0.0] * len(free),
            "z_se": [1.0] * len(free),
        }
        | {name: [n + 1 for n in free] for name in ("n_units", "n_donors", "n_cells", "n_samples")}
    )
    spec = plots.intervals(Answer(table, "")).to_dict()
    spec["layer"][2]["encoding"]["tooltip"] = [
        {"field": name, "format": ".6f", "type": "quantitative"} for name in ("n_units", "high")
    ]
    drawn = vl_convert.vegalite_to_svg(spec)
    found = {int(float(n)) - 1: float(high) for n, high in re.findall(r"n_units: ([\d.]+); high: ([\d.]+)", drawn)}
    assert found == {n: pytest.approx(stats.t.ppf(0.975, n), rel=2e-4) for n in free}


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
