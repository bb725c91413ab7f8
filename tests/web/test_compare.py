"""The tab of comparisons beside `sigdb compare`: its advice on the size of a unit, and the command for all studies."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import asdict
from urllib.parse import quote

import numpy as np
import pytest

import sigdb
from sigdb.errors import QueryError
from sigdb.findings.lost_units import advise_min_cells
from sigdb.findings.units import Design, Unit, too_small
from tests.web.test_lasso import CELLS, LASSO
from tests.web.test_tabs import PAIRED, check_rows, show_all

QUESTION = "s=" + quote("CD3D CD3E") + "&tab=compare&by=tissue&reference=" + quote("normal adjacent")
ALL = {"by": "tissue", "reference": "normal", "of": "z", "unit": "donor", "within": "cell_type", "pairedBy": None}
ALL |= {"minCells": 10, "minUnits": 3}


@pytest.fixture
def page(page):
    """Calibrated scores take seconds in a browser."""
    page.page.set_default_timeout(60_000)
    return page


def some_units(rng, design):
    """Units of two studies and two types, some of them too small; donors repeat, and some have no name."""
    for number in range(int(rng.integers(1, 25))):
        donor = f"d{rng.integers(8)}"
        yield Unit(
            within=f"t{rng.integers(2)}" if design.within else None,
            group=str(rng.choice(["a", "b", "ref"])),
            study=f"s{rng.integers(2)}",
            unit=donor if design.unit == "donor" else f"sample{number}",
            pair=donor if design.paired_by else None,
            n_cells=int(rng.integers(1, 20)),
            donors=() if rng.random() < 0.2 else (donor,),
        )


def test_the_advice_on_the_size_of_a_unit_is_that_of_python(call_node):
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(150):
        unit, paired_by = [("donor", None), ("donor", "donor"), ("sample", None), ("sample", "donor")][rng.integers(4)]
        within = "cell_type" if rng.random() < 0.5 else None
        design = Design("tissue", "ref", unit, within, paired_by, (), 10, int(rng.integers(2, 4)))
        units = list(some_units(rng, design))
        large, small = [[each for each in units if (each.n_cells >= 10) == is_large] for is_large in (True, False)]
        rows = [asdict(each) | {"donors": list(each.donors)} for each in small]
        expected = advise_min_cells(large, [(row, too_small(design)) for row in rows], design)
        settings = {"reference": "ref", "unit": unit, "within": within, "minUnits": design.min_units}
        found = call_node(
            "compare-advice.js", "adviseMinCells", *([asdict(u) for u in side] for side in (large, small)), settings
        )
        if not expected:
            assert found is None
            kinds.add("none")
        elif "No value of" in expected:
            assert found["n"] == 0
            kinds.add("impossible")
        else:
            n, units_left, place = re.fullmatch(r"`min_cells=(\d+)` leaves (.*) in (.*)", expected).groups()
            assert found["text"] == f"With {n} cells of a unit, {units_left} are left in {place}"
            assert found["n"] == int(n)
            kinds.add("advice")
    assert kinds == {"none", "impossible", "advice"}


def test_the_page_advises_a_size_that_can_be_tested(page, host, con):
    page.open(f"{host.address}/#{QUESTION}&pairs=donor&within=none&min_cells=60")
    advice = page.text(".tab .card >> nth=0")
    n = re.search(r"Nothing was tested\. With (\d+) cells of a unit", advice)[1]
    with pytest.raises(QueryError, match=f"`min_cells={n}` leaves"):
        sigdb.compare(con, ["CD3D", "CD3E"], **PAIRED | {"within": None, "min_cells": 60})
    page.page.click(f".tab button:text-is('Use {n}')")
    page.wait()
    assert f"min_cells={n}" in page.page.url
    assert page.page.input_value("label:has-text('Cells of a unit') input") == n
    assert "Nothing was tested" not in page.text(".tab")
    assert page.page.locator(".tab .card >> nth=0").locator(".chart svg").count() == 1


def check_command(page, atlas):
    """The command of the page gives the rows that the page shows."""
    show_all(page)
    summary = page.page.locator(".tab summary:has-text('All studies together')")
    words = shlex.split(summary.locator("xpath=..").locator("pre").inner_text())
    assert words[:2] == ["sigdb", "compare"]
    words = [str(atlas) if word == f"{atlas.stem}.duckdb" else word for word in words[2:]]
    command = [sys.executable, "-m", "sigdb", "compare", "--format", "json", *words]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = page.table()
    rows = [row for row in json.loads(run.stdout) if row["study"] is not None]
    check_rows(shown, [{name: "" if row[name] is None else row[name] for name in shown[0]} for row in rows], rel=2e-6)
    return shown


@pytest.mark.parametrize("settings", ["min_cells=3&of=hits", "min_cells=3&within=none&study=wu2020_tcell"])
def test_the_command_gives_the_rows_of_the_page(page, host, demo_path, settings):
    page.open(f"{host.address}/#{QUESTION}&pairs=donor&{settings}")
    assert any(row["p_value"] for row in check_command(page, demo_path))


def test_the_command_has_the_lasso(page, embedded_host, embedded):
    """The sizes are those of the lasso; samples of one donor are not tested."""
    reference = "reference=" + quote("CD14+ Monocyte")
    page.open(
        f"{embedded_host.address}/#s=LYZ&tab=compare&by=cell_type&{reference}&unit=sample&pairs=donor&min_cells=2&{LASSO}"
    )
    shown = check_command(page, embedded)
    with sigdb.connect(embedded) as con:
        ((n,),) = con.execute(f"SELECT count(*) FROM cells WHERE {CELLS} AND cell_type = 'CD14+ Monocyte'").fetchall()
    assert 0 < int(shown[0]["n_cells_reference"]) <= n


@pytest.mark.parametrize(
    ("signature", "design", "options", "expected"),
    [
        ({"genes": ["A"]}, {"by": "tissue"}, {}, ["--by", "tissue", "--as-genes", "--", "x.duckdb", "A"]),
        (
            {"library": "IT'S", "weights": [2, 1]},
            {"by": "disease", "within": None},
            {},
            ["--within", "", "--", "x.duckdb", "IT'S"],
        ),
        (
            {"genes": ["A", "B"], "missing": ["B"]},
            {"by": "disease", "reference": "$(x) `y`", "minCells": 3, "minUnits": 4, "of": "hits", "unit": "sample"},
            {"cells": "study = 'a''b' AND \"q\" > 1", "run": "r\\1"},
            [
                *("--reference", "$(x) `y`", "--of", "hits", "--unit", "sample"),
                *("--min-cells", "3", "--min-units", "4"),
                *("--missing", "ignore", "--cells", "study = 'a''b' AND \"q\" > 1", "--run", "r\\1", "--", "x.duckdb"),
                *("A", "B"),
            ],
        ),
    ],
)
def test_the_command_is_one_of_a_shell(call_node, signature, design, options, expected):
    signature = {"library": None, "weights": None, "missing": [], "genes": []} | signature
    command = call_node("compare-command.js", "compareCommand", "x.duckdb", signature, ALL | design, options)
    assert shlex.split(command) == ["sigdb", "compare", *expected]


def test_weights_of_genes_have_no_command(call_node):
    signature = {"library": None, "genes": ["A"], "weights": [2], "missing": []}
    assert call_node("compare-command.js", "compareCommand", "x.duckdb", signature, ALL, {}) is None
