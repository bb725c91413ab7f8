"""Each tab of findings has the numbers of `sigdb`, and its notes."""

from __future__ import annotations

import re
from urllib.parse import quote

import numpy as np
import pytest

import sigdb
from sigdb.findings.comparability import ADJUST
from sigdb.findings.groups import calibrated_scores
from sigdb.findings.statistics import benjamini_hochberg, independent_columns, paired_columns

GENES = ["LYZ", "CD14", "FCN1", "AIF1"]
SIGNATURE = "s=" + quote(" ".join(GENES))
FILTER = "study=wu2020_tcell&study=baron2016_pancreas"
CELLS = "study IN ('wu2020_tcell', 'baron2016_pancreas')"
PAIRED = {"by": "tissue", "reference": "normal adjacent", "paired_by": "donor", "min_cells": 3}


@pytest.fixture
def page(page):
    """Calibrated scores take seconds in a browser."""
    page.page.set_default_timeout(60_000)
    return page


# What a reader opens, which table of the tab, and the same finding of Python.
TABS = {
    "scores": (
        "tab=scores&by=tissue&min_cells=5",
        0,
        lambda con, cells: calibrated_scores(con, GENES, {"study": "study", "label": "tissue"}, cells, 5),
    ),
    "heat map": (
        "tab=scores&by=tissue&min_cells=5",
        1,
        lambda con, cells: sigdb.group_scores(con, GENES, by="tissue", cells=cells, min_cells=5),
    ),
    "distributions": (
        "tab=distributions&by=disease&n_bins=20",
        0,
        lambda con, cells: sigdb.score_bins(con, GENES, by="disease", cells=cells, n_bins=20),
    ),
    "hits": (
        "tab=hits&by=donor&percentile=95&min_cells=3&min_samples=1",
        0,
        lambda con, cells: sigdb.hits(con, GENES, by="donor", cells=cells, percentile=95, min_cells=3, min_samples=1),
    ),
    "leading": ("tab=leading&n=3", 0, lambda con, cells: sigdb.leading_genes(con, GENES, n=3, groups=cells)),
    "null": (
        "tab=null&n_controls=60&seed=3",
        0,
        lambda con, cells: sigdb.matched_null(con, GENES, n_controls=60, seed=3, groups=cells),
    ),
    "genes": ("tab=gene&by=study", 0, lambda con, cells: sigdb.gene_dots(con, GENES, by="study", cells=cells)),
    "one gene": (
        "tab=gene&gene=INS&min_cells=1",
        0,
        lambda con, cells: sigdb.gene_dots(con, ["INS"], cells=cells, min_cells=1),
    ),
}


def rows_of(table):
    """The rows with the values that the page shows: a list as JSON, a missing value as no text."""
    return [{name: "" if value is None else value for name, value in row.items()} for row in table.to_pylist()]


def check_rows(shown, expected, rel=1e-9):
    """The rows that a page shows as text are the expected ones, whatever their order."""
    texts = [name for name in expected[0] if all(isinstance(row[name], str) for row in expected)]

    def in_order(rows):
        return sorted(rows, key=lambda row: [str(row[name]) for name in texts] + [float(row.get("low") or 0)])

    assert len(shown) == len(expected)
    for row, wanted in zip(in_order(shown), in_order(expected), strict=True):
        for name, value in wanted.items():
            if isinstance(value, bool | str):
                assert row[name] == (str(value).lower() if isinstance(value, bool) else value), name
            else:
                assert float(row[name]) == pytest.approx(float(value), rel=rel, abs=1e-12), name


@pytest.mark.parametrize(("tab", "cells"), [*((tab, CELLS) for tab in TABS), ("hits", None), ("null", None)])
def test_a_tab_has_the_numbers_and_the_notes_of_sigdb(page, address, con, tab, cells):
    settings, place, find = TABS[tab]
    page.open(f"{address}/#{SIGNATURE}&{settings}{'&' + FILTER if cells else ''}")
    show_all(page)
    found = find(con, cells)
    table = found.all_samples if tab == "hits" else found.table
    assert table.num_rows > 0
    check_rows(page.table(place), rows_of(table))
    notes = page.page.locator(".tab .card").nth(place).locator(".notes").inner_text()
    for note in found.notes:
        assert in_page(note) in notes
    assert page.page.locator(".tab .card").nth(place).locator(".chart svg").count() == 1
    assert page.problems == []


def in_page(note: str) -> str:
    """A note as the page says it: parameters of Python have names of settings there."""
    return note.replace(" With a smaller `n_bins` there are more sets.", "").partition(": use `against")[0]


def show_all(page) -> None:
    """Open all tables, and all their rows."""
    page.page.evaluate("document.querySelectorAll('.tab details').forEach((each) => { each.open = true; })")
    for more in page.page.locator(".tab button:has-text('Show more')").all():
        if more.is_visible():
            more.click()


def test_the_top_genes_of_a_group(page, host, con):
    page.open(f"{host.address}/#tab=top&cell_type=beta&n=30")
    show_all(page)
    check_rows(page.table(), rows_of(sigdb.top_genes(con, cell_type="beta", n=30).table))
    page.open(f"{host.address}/#tab=top&cell_type=beta&cell_type=alpha&donor=human1")
    assert "Choose one cell type, not 2." in page.text(".tab")
    assert "Clear the filter of donors" in page.text(".tab")


@pytest.mark.parametrize(("of", "pairs"), [("z", "donor"), ("hits", "donor")])
def test_a_comparison_has_the_numbers_of_sigdb(page, host, con, of, pairs):
    genes = "s=" + quote("CD3D CD3E")
    settings = f"by=tissue&reference={quote('normal adjacent')}&pairs={pairs}&min_cells=3&of={of}"
    page.open(f"{host.address}/#{genes}&tab=compare&{settings}")
    show_all(page)
    shown = page.table()
    found = sigdb.compare(con, ["CD3D", "CD3E"], of=of, **PAIRED)
    expected = [row for row in rows_of(found.table) if row["study"]]
    assert len(shown) == len(expected) > 2
    # scipy finds the interval of g to six digits.
    check_rows(shown, [{name: row[name] for name in shown[0]} for row in expected], rel=2e-6)
    notes = page.page.locator(".tab .notes").last.inner_text()
    unpaired = [note for note in found.notes if note.startswith("Units without a partner")]
    assert len(unpaired) == 1
    for note in (
        *unpaired,
        *(note for note in found.notes if note.startswith(("Left out", "In ", "The groups differ"))),
    ):
        assert note.removesuffix(ADJUST).strip() in notes


def test_a_comparison_starts_with_a_question_that_has_an_answer(page, host, con):
    page.open(f"{host.address}/#{SIGNATURE}&tab=compare")
    chosen = {
        name: page.page.locator(f".controls label:has-text('{name}') select").first.input_value()
        for name in ("Compare", "with", "within", "Pairs")
    }
    show_all(page)
    assert [row for row in page.table() if row["p_value"]], chosen
    assert page.problems == []


def test_a_comparison_without_an_answer_says_so(page, host):
    page.open(f"{host.address}/#{SIGNATURE}&tab=compare&by=study")
    said = page.text(".tab .card >> nth=0")
    assert "Nothing was compared: no study has units of" in said
    assert "false" not in said


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        # Too few normal donors in one study; enough cancer donors of two kinds.
        (
            [("a", "T", "normal", "x", 2), ("a", "T", "lung", "x", 3), ("a", "T", "renal", "x", 3)],
            ("disease", "lung", "cell_type", "none"),
        ),
        # The same donors are in both tissues.
        ([("a", "T", "normal", "x", 3), ("a", "T", "normal", "y", 3)], ("tissue", "x", "cell_type", "donor")),
        # There is no answer: the first column.
        ([("a", "T", "normal", "x", 2)], ("disease", "normal", "cell_type", "none")),
    ],
)
def test_the_first_question(call_node, groups, expected):
    rows = [
        {"study": study, "cell_type": kind, "disease": disease, "tissue": tissue, "n_cells": 20}
        | {"donor": f"{number}" if disease == "normal" else f"{disease}{number}"}
        for study, kind, disease, tissue, n in groups
        for number in range(n)
    ]
    least = {"minCells": 10, "minUnits": 3}
    found = call_node("compare-start.js", "firstQuestion", rows, ["disease", "tissue"], least, {})
    assert tuple(found[name] for name in ("by", "reference", "within", "pairs")) == expected


def test_the_defaults_of_hits_are_those_of_python(page, host, con):
    page.open(f"{host.address}/#{SIGNATURE}&tab=hits&by=disease")
    found = sigdb.hits(con, GENES, by="disease")
    show_all(page)
    check_rows(page.table(), rows_of(found.all_samples))
    notes = page.text(".tab .notes")
    for note in found.notes:
        assert in_page(note) in notes


@pytest.mark.parametrize("parameters", [{}, {"min_cells": 600}, {"min_cells": 1, "min_samples": 40}])
def test_hits_without_a_group_name_the_setting_that_keeps_one(page, host, con, parameters):
    found = sigdb.hits(con, GENES, by="tissue", **parameters)
    settings = "".join(f"&{name}={value}" for name, value in parameters.items())
    page.open(f"{host.address}/#{SIGNATURE}&tab=hits&by=tissue{settings}")
    (note,) = [note for note in found.notes if note.startswith("No group is left")] or [None]
    if note is None:
        assert "No group is left" not in page.text(".tab")
    else:
        number = re.search(r"=(\d+)", note)
        assert (
            f"to {number[1]} to keep" in page.text(".tab .notes") if number else "No group is left" in page.text(".tab")
        )


def test_settings_that_are_not_possible_are_named(page, host):
    page.open(f"{host.address}/#{SIGNATURE}&tab=hits&percentile=150&by=nosuch")
    assert "percentile=150 is not possible; 99 is shown." in page.text(".tab")
    assert "by=nosuch is not possible; disease is shown." in page.text(".tab")
    assert "150" not in page.page.url
    assert "nosuch" not in page.page.url


def test_a_comparison_of_donors_in_both_groups_is_refused(page, host):
    genes = "s=" + quote("CD3D CD3E")
    page.page.goto(f"{host.address}/#{genes}&tab=compare&by=tissue&reference={quote('normal adjacent')}&min_cells=3")
    assert "so the groups are not independent. Choose pairs" in page.page.locator(".tab [role=alert]").inner_text()


def test_the_slider_of_hits_changes_the_question_and_the_address(page, host):
    page.open(f"{host.address}/#{SIGNATURE}&tab=hits&by=study")
    before = page.text(".tab .notes")
    page.page.locator("input[type=range]").evaluate(
        "(box) => { box.value = '80'; for (const kind of ['input', 'change']) box.dispatchEvent(new Event(kind)); }"
    )
    page.page.locator(".tab .notes", has_text="80th percentile").wait_for()
    assert page.text(".tab .notes") != before
    assert "percentile=80" in page.page.url


def test_a_question_is_cancelled(page, host):
    page.page.goto(f"{host.address}/#{SIGNATURE}&tab=null&n_controls=90000")
    page.page.click(".tab button:has-text('Cancel')")
    page.page.wait_for_selector(".tab button:has-text('Ask again')")


def test_tests_of_two_groups_are_those_of_python(call_node):
    """Welch and paired t tests with Hedges' g: few and many units, equal and unequal spread, all sizes of effects."""
    rng = np.random.default_rng(0)
    for name, test in (("independent", independent_columns), ("paired", paired_columns)):
        for _ in range(40):
            n = int(rng.integers(2, 14))
            m = n if name == "paired" else int(rng.integers(2, 14))
            group = rng.normal(rng.choice([0, 0.5, 3]), size=n)
            reference = rng.normal(scale=rng.choice([0.3, 1, 3]), size=m)
            found = call_node("statistics.js", name, group.tolist(), reference.tolist())
            expected = test(group[:, None], reference[:, None])
            t = abs(expected["difference"][0] / expected["difference_se"][0])
            for each, (value,) in expected.items():
                # Beyond t = 50, the interval of Python is an approximation.
                close = 2e-3 if t > 50 and each in ("g_low", "g_high") else 2e-6
                assert found[each] == (None if np.isnan(value) else pytest.approx(value, rel=close, abs=1e-7)), (
                    each,
                    t,
                )


def test_values_that_do_not_vary_have_no_test(call_node):
    found = call_node("statistics.js", "independent", [1, 1, 1], [1, 1, 1])
    assert found["p_value"] is None
    assert found["hedges_g"] is None
    assert found["difference"] == 0


@pytest.mark.parametrize("p", [[0.01, 0.04, None, 0.03, 0.03, 1.0], [], [None], [0.5]])
def test_adjusted_p_values_are_those_of_python(call_node, p):
    expected = [value if value is None else pytest.approx(value) for value in benjamini_hochberg(p)]
    assert call_node("statistics.js", "adjust", p) == expected
