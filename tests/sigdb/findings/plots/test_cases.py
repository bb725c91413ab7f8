"""Every chart, with few and many groups, with no group, and with values and names that could break it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from sigdb.findings import plots
from tests.sigdb.findings.plots.made import CASES, CHARTS, draw

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_EACH_CHART = pytest.mark.parametrize("chart", CHARTS)
NOTHING = "There is nothing to draw."


def leaves(value: Any) -> Iterator[Any]:
    """The values of a specification, at any depth."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value


def data_of(part: Any) -> list[list[dict[str, Any]]]:
    """The data sets of a chart, the largest first."""
    found: list[list[dict[str, Any]]] = []
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if key == "values" and value and isinstance(value[0], dict):
            found.append(value)
        elif isinstance(value, dict | list):
            found += data_of(value)
    return sorted(found, key=len, reverse=True)


def rows_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The data of a chart: its largest data set."""
    return data_of(spec)[0]


def subtitle(spec: dict[str, Any]) -> str:
    return " ".join(spec["title"]["subtitle"])


def test_all_charts_are_made():
    assert set(CHARTS) == set(plots.__all__) - {"save"}


@OF_EACH_CHART
@pytest.mark.parametrize("case", ["odd", "only_odd"])
def test_no_number_breaks_a_page(chart, case):
    """JSON has no NaN: one of them in a page blanks every chart. What is not drawn is counted."""
    spec = draw(chart, case).to_dict()
    numbers = [leaf for leaf in leaves(spec) if isinstance(leaf, float)]
    assert all(map(math.isfinite, numbers))
    json.dumps(spec, allow_nan=False)
    if chart not in ("heat_map", "effects"):  # these have a mark for what has no value
        assert "Not drawn, because a value is missing" in subtitle(spec)


@OF_EACH_CHART
def test_an_empty_finding_says_that_there_is_nothing(chart):
    spec = draw(chart, "none").to_dict()
    assert spec["mark"]["text"] == NOTHING
    assert spec["title"]["text"]


@OF_EACH_CHART
def test_many_groups_are_cut_and_counted(chart):
    """A chart of 2,000 groups is as large as one of 300. It says how many it leaves out."""
    few, many = draw(chart, "300").to_dict(), draw(chart, "2000").to_dict()
    if chart == "volcano":  # a point per gene
        assert len(rows_of(many)) == 2000
        return
    assert len(rows_of(many)) < 1.5 * len(rows_of(few)) + 100
    assert "2,000" in subtitle(many)


def test_a_chart_of_all_genes_is_drawn_in_seconds():
    """The time grows with the number of genes, not with its square."""
    start = time.process_time()
    draw("volcano", "2000")
    assert time.process_time() - start < 10


def chromium() -> str:
    """The browser, or the test is skipped."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium")
    return found


@pytest.mark.slow
@OF_EACH_CHART
@pytest.mark.parametrize("case", CASES)
def test_every_case_is_drawn_in_a_browser(chart, case, tmp_path):
    """There are marks, or the text that there is nothing; no NaN, no error, and no name runs as code."""
    browser = chromium()
    plots.save(draw(chart, case), tmp_path / "chart.html")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
    page = subprocess.run([*command, (tmp_path / "chart.html").as_uri()], capture_output=True, text=True, check=True)
    drawn = page.stdout.partition('id="vis"')[2].partition("<script")[0]
    assert "<canvas" in drawn or "<svg" in drawn
    assert "JavaScript Error" not in drawn
    assert "<title>owned" not in page.stdout
    plots.save(draw(chart, case), tmp_path / "chart.svg")
    picture = (tmp_path / "chart.svg").read_text()
    assert "NaN" not in picture.replace("NaN%", "") or case == "only_odd"
    assert picture.count("<path") > (0 if NOTHING in picture else 5)
