"""The report: what it says first, what is on the page, and how the page behaves in a browser."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import runpy
import sys
import time
from base64 import b64encode
from importlib.resources import files

import altair as alt
import pyarrow as pa
import pytest
import vl_convert

import sigdb
from sigdb.errors import MissingDependencyError, QueryError
from sigdb.findings.columns import choose_groups
from sigdb.findings.page import Section, write_page
from sigdb.findings.report import Subject, answer_of, find_all, sections_of, write_report
from sigdb.statements import ask, parse_statement
from tests.sigdb.findings import test_plots
from tests.sigdb.findings.test_plots import BROKEN, HOSTILE, SIGNATURE
from tests.support.browser import open_browser

VEGA = files("sigdb") / "data" / "vega"
hostile = test_plots.con  # an atlas of hostile names


@pytest.mark.slow
def test_report_escapes_all_that_comes_from_data(hostile, tmp_path):
    page = write_report(
        hostile,
        HOSTILE.replace(" ", ""),
        tmp_path / "page.html",
        reference="normal",
        min_cells=1,
        cells="disease <> '<i>'",
    )
    text = page.path.read_text()
    assert (page.n_charts, page.n_tables) == (7, 9)
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    rest = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert len(scripts) == 2
    assert [bad for bad in ("<script>", "<img", "<b>G", "<script src", "<link", "<iframe", "\x1b") if bad in rest] == []
    escaped = ("&lt;script&gt;document.title", "\\u2039/script\\u003e", "&lt;b&gt;G&amp;", "attribution_runs")
    assert [good for good in escaped if good not in rest] == []
    specs = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    assert len(specs) == 7
    assert all(json.loads(spec)["usermeta"]["sql"] for spec in specs)
    # The policy of the page allows its own scripts only.
    hashes = [f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert re.search(r"script-src ([^;]*);", text)[1].split() == hashes


def test_a_report_that_cannot_be_made_leaves_no_file(hostile, tmp_path):
    with pytest.raises(QueryError, match="No donor has disease 'healthy'"):
        write_report(hostile, SIGNATURE, tmp_path / "page.html", reference="healthy", min_cells=1)
    with pytest.raises(QueryError, match=r"A report is an .html file, not 'page.pdf'"):
        write_report(hostile, SIGNATURE, tmp_path / "page.pdf")
    with pytest.raises(QueryError, match=r"There is no folder .*none to write page.html into"):
        write_report(hostile, SIGNATURE, tmp_path / "none" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_page_says_each_thing_in_its_place(demo_path, tmp_path):
    """The answer first, then the sections, each with what it needs; what names mean is said once."""
    with sigdb.connect(demo_path) as con:
        page = write_report(con, "MS1", tmp_path / "page.html", by="study", missing="ignore")
    text = re.sub(r"<script.*?</script>|<style.*?</style>", "", page.path.read_text(), flags=re.DOTALL)
    titles = re.findall(r'<h2 id="section\d">(.*?)</h2>', text)
    assert titles == [
        *("Hits", "Score by cell type and study", "Distribution of scores", "Against matched genes", "Leading genes"),
        *("Coverage", "Provenance"),
    ]
    assert re.findall(r'<li><a href="#section\d">(.*?)</a></li>', text) == titles
    above, _, rest = text.partition('class="answer"')
    answer = rest.partition("</div>")[0]
    opening, _, cautions = answer.partition("<ul>")
    assert len(re.findall(r"\.(?:\s|</p>)", opening)) == 3
    assert "The model knows 81 of 99 genes" in cautions
    assert "Scores are attributions" in cautions
    assert re.search(r"<time[^>]*>[^<]*</time>\. the atlas\.</p>", above)
    assert "DuckDB" not in above + opening
    assert "The genes score highest in MDC (bassez2021_breast_tme; mean z 5.3, 72% of 50 cells are hits), " in answer
    assert "By study, the share of hits is highest in wu2020_tcell (" in answer
    assert "No groups of donors were tested against each other" in answer
    assert "The model knows 81 of 99 genes (not RP11-295G20.2, " in answer
    assert "Fewer than half were measured in tirosh2016_oligodendroglioma, zheng2017_pbmc68k." in answer
    assert answer.count("The groups differ in depth") == answer.count("The groups differ in coverage") == 1
    assert text.count("The model of this run does not know the other 18") == 1
    missing = text.partition("<caption>Missing genes</caption>")[2].partition("</table>")[0]
    assert missing.count(">missing<") == 18


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "diseases"),
    [("study = 'two' AND disease = 'flu'", {"flu"}), ("study = 'two' AND donor = 'd0'", None)],
    ids=["group", "part of a group"],
)
def test_every_section_is_about_the_chosen_cells_and_one_rule_of_hits(hostile, cells, diseases):
    """A section that is not about the chosen cells says so. The samples and the groups of cells hold the same hits."""
    settings = dict.fromkeys(("reference", "paired_by")) | {"options": {"missing": None, "run": None}}
    settings |= {"by": "disease", "against": "controls", "percentile": 50, "min_cells": 1, "min_samples": 1}
    subject = Subject(genes=SIGNATURE, title="x", cells=cells, **settings)
    found = find_all(hostile, subject)
    texts = {section.title: section.text for section in sections_of(found, subject)}
    for finding, title in ((found.leading, "Leading genes"), (found.null, "Against matched genes")):
        assert {*finding.column("study")} == ({"two"} if diseases else {"two", BROKEN})
        assert {*finding.column("disease")} == (diseases or {"flu", "normal"})
        assert ("The chosen cells count." in texts[title]) is bool(diseases)
        assert ("All cells of the atlas count, not only the chosen ones" in texts[title]) is (diseases is None)
    assert found.coverage.column("study") == ["two"]
    n_hits = sum(found.hits.all_samples["n_hits"].to_pylist())
    assert n_hits == sum(round(row["hit_rate"] * row["n_cells"]) for row in found.scores.table.to_pylist()) > 0
    assert diseases is None or "50% hits" in answer_of(found, subject)[0]


def missing_genes(con, genes, cells):
    """The table of missing genes, of the studies of some cells."""
    query = choose_groups(parse_statement("findings/missing_genes"), cells)
    return ask(con, query, {"genes": genes, "run": None}).table.to_pylist()


def test_missing_genes_are_the_ones_that_a_study_lacks(demo_path):
    with sigdb.connect(demo_path) as con:
        genes = ["LYZ", "CD14", "NO_GENE"]
        first, *rows = missing_genes(con, genes, "true")
        of_a_study = missing_genes(con, genes, "study = 'zheng2017_pbmc68k'")
        measured = con.execute(
            """SELECT g.symbol, list(s.study), (SELECT list(study) FROM studies) FROM sigdb_data.study_genes AS m
            JOIN sigdb_data.genes AS g USING (gene_id) JOIN sigdb_data.studies AS s USING (study_id)
            WHERE g.symbol IN ('LYZ', 'CD14') GROUP BY ALL"""
        ).fetchall()
    assert (first["gene"], first["symbol"], first["status"], first["studies"]) == ("NO_GENE", None, "missing", None)
    expected = {symbol: sorted({*studies} - {*there}) for symbol, there, studies in measured}
    found = {row["symbol"]: row["studies"].split(", ") for row in rows}
    assert found == {symbol: lacking for symbol, lacking in expected.items() if lacking}
    assert all(row["n_studies"] == len(found[row["symbol"]]) for row in rows)
    assert found
    lacking = {row["symbol"] for row in rows if "zheng2017_pbmc68k" in row["studies"]}
    assert {row["symbol"] for row in of_a_study[1:]} == lacking
    assert {row["studies"] for row in of_a_study[1:]} == {"zheng2017_pbmc68k"}


# A page with a table of 250 rows, values that JSON, CSV and spreadsheets do not take as they are, and a broken chart.
ODD = ["=1+1", 'a "quoted", text', "two\nlines", "", None, "-", "é"]


def odd_page(folder):
    values = [{"x": number, "y": float("nan") if number == 1 else number} for number in range(3)]
    good = alt.Chart(alt.Data(values=values), title=BROKEN.split("\x1b")[0]).mark_point().encode(x="x:Q", y="y:Q")
    bad = alt.Chart(alt.Data(values=values)).mark_point().encode(x="x:Q").transform_calculate(z="datum.(")
    good, bad = good.to_dict(validate=False), bad.to_dict(validate=False)
    names = [ODD[number] if number < len(ODD) else f"name {number}" for number in range(250)]
    numbers = [None if number == 3 else number * 1.23456789 - 100 for number in range(250)]
    table = pa.table({"name": names, "number": numbers})
    sections = [
        Section("First", "text", charts={"Good": good, "Bad": bad}, tables={"Odd": table}),
        Section("Second", "text", charts={"Last": good}, tables={"Empty": table.slice(0, 0)}),
    ]
    return write_page(folder / "odd.html", "Signature <b>", "about", sections, ["The answer."]).path, table


@pytest.mark.slow
def test_a_chart_that_fails_leaves_the_others_and_tables_work(tmp_path):
    path, table = odd_page(tmp_path)
    with open_browser(tmp_path) as browser:
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        browser.open(path)
        browser.wait("document.querySelectorAll('figure svg.marks, .failed').length === 3")
        assert browser.evaluate("document.querySelectorAll('figure svg.marks').length") == 2
        assert "This chart could not be drawn" in browser.evaluate("document.querySelector('.failed').textContent")

        shown = "[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden).map(row => row.cells[{}].{})"
        assert len(browser.evaluate(shown.format(0, "textContent"))) == 100
        browser.evaluate("document.querySelectorAll('thead button')[1].click()")
        highest = browser.evaluate(shown.format(1, "dataset.value"))
        expected = sorted((each for each in table["number"].to_pylist() if each is not None), reverse=True)
        assert [float(each) for each in highest] == expected[:100]
        assert browser.evaluate("document.querySelectorAll('thead th')[1].ariaSort") == "descending"
        browser.evaluate("document.querySelectorAll('thead button')[1].click()")
        assert [float(each) for each in browser.evaluate(shown.format(1, "dataset.value"))] == expected[::-1][:100]
        browser.evaluate("document.querySelector('.all').click()")
        assert len(browser.evaluate(shown.format(0, "textContent"))) == 250

        browser.evaluate("document.querySelector('.download').click()")
        browser.wait("true")
        saved = wait_for_file(tmp_path, "signature-b-odd.csv")
        assert [each for each in browser.requests if not each.startswith(("file:", "blob:", "data:"))] == []
        assert browser.problems == []
    rows = list(csv.reader(saved.read_text(encoding="utf-8").splitlines(keepends=True)))
    assert rows[0] == ["name", "number"]
    found = {name.removeprefix("'"): number for name, number in rows[1:] if name}
    assert len(rows) == 251
    kept = {name: number for name, number in zip(*table.to_pydict().values(), strict=True) if name}
    assert found == {name: "" if number is None else str(number) for name, number in kept.items()}
    assert ["'=1+1", "-100.0"] in rows


def wait_for_file(folder, name, seconds=10):
    """A file that a browser saves, when it is whole."""
    end = time.monotonic() + seconds
    while not (folder / name).exists() or not (folder / name).stat().st_size:
        assert time.monotonic() < end, sorted(folder.iterdir())
        time.sleep(0.1)
    return folder / name


@pytest.mark.slow
@pytest.mark.parametrize("min_cells", [1, 10_000], ids=["hostile names", "no groups"])
def test_a_report_opens_in_a_browser_without_a_complaint(hostile, tmp_path, min_cells):
    page = write_report(hostile, HOSTILE.replace(" ", ""), tmp_path / "page.html", min_cells=min_cells)
    with open_browser(tmp_path) as browser:
        browser.open(page.path)
        drawn = "document.querySelectorAll('figure svg.marks').length"
        browser.wait(f"document.querySelector('.failed') || {drawn} === {page.n_charts}")
        assert browser.evaluate(drawn) == page.n_charts
        assert browser.evaluate("document.title").startswith("Signature </script>")
        assert browser.requests == [page.path.as_uri()]
        assert browser.problems == []
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        browser.call("Emulation.setDeviceMetricsOverride", width=500, height=800, deviceScaleFactor=1, mobile=False)
        assert browser.evaluate(wide) is False


def test_the_bundled_vega_is_what_altair_writes_for():
    head = (VEGA / "vega.js").read_text(encoding="utf-8").partition("\n")[0]
    vega, lite, embed = re.match(
        r"// Vega ([\d.]+), Vega-Lite ([\d.]+), Vega-Embed ([\d.]+), bundled by", head
    ).groups()
    assert alt.VEGALITE_VERSION.startswith(f"{lite}.")
    assert vega.startswith(f"{alt.VEGA_VERSION}.")
    assert embed.startswith(f"{alt.VEGAEMBED_VERSION}.")
    assert vega == vl_convert.get_vega_version()


@pytest.mark.slow
def test_the_bundled_vega_is_what_its_script_writes():
    """After an update of vl-convert or Altair: python sigdb/data/vega/make.py."""
    assert runpy.run_path(str(VEGA / "make.py"))["bundle"]() == (VEGA / "vega.js").read_text(encoding="utf-8")


def test_a_page_without_jinja_names_the_extra(hostile, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"pip install -e '\.\[plots\]'"):
        write_report(hostile, SIGNATURE, "page.html")
