"""Every chart, with few and many groups, with no group, and with values and names that could break it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
import vl_convert

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
        if key == "values" and isinstance(value, list) and value and isinstance(value[0], dict):
            found.append(value)
        elif key == "datasets":
            found += value.values()
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


@pytest.mark.slow
@OF_EACH_CHART
def test_many_groups_are_cut_and_counted(chart):
    """A chart of 2,000 groups is as large as one of 300. It says how many it leaves out."""
    few, many = draw(chart, "300").to_dict(), draw(chart, "2000").to_dict()
    if chart == "volcano":  # a point per gene
        assert len(rows_of(many)) == 2000
        return
    assert "2,000" in subtitle(many)
    if chart in ("contributions", "null_scores"):  # they need all groups of a study to name each of them
        return
    assert len(rows_of(many)) < 1.5 * len(rows_of(few)) + 100


def test_a_chart_of_all_genes_is_drawn_in_seconds():
    """The time grows with the number of genes, not with its square."""
    start = time.process_time()
    draw("volcano", "2000")
    assert time.process_time() - start < 10


@pytest.fixture(scope="module")
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed, as in the report."""
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_chart_is_drawn_in_a_browser(case, bundle, tmp_path):
    """A page of all charts: none fails, there is no NaN in a picture, and no name runs as code."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no Chromium")
    page = [f"<meta charset='utf-8'><script>{bundle}</script>"]
    for chart in CHARTS:
        spec = json.dumps(draw(chart, case).to_dict(), allow_nan=False)
        call = f"vegaEmbed('#{chart}', {spec}, {{renderer: 'svg'}})"
        failed = f"error => {{ document.getElementById('{chart}').textContent = 'FAILED ' + error }}"
        page.append(f"<div id='{chart}'></div><script>{call}.catch({failed})</script>")
    (tmp_path / "page.html").write_text("".join(page), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    url = (tmp_path / "page.html").as_uri()
    shown = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    assert "<title>owned" not in shown
    for chart in CHARTS:
        drawn = shown.partition(f'<div id="{chart}"')[2].partition("<script>vegaEmbed")[0]
        assert "FAILED" not in drawn, chart
        assert "<svg" in drawn, chart
        assert "NaN" not in drawn, chart
