"""Charts and the report: valid Vega-Lite, made from the finding's table, and safe with hostile names."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import altair as alt
import numpy as np
import pytest

import sigdb
from sigdb.errors import MissingDependencyError, QueryError
from sigdb.findings import plots
from tests.support.browser import find_chromium
from tests.support.toy import new_atlas, obs_of, write_study

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
# Characters that end the program which draws PNG and SVG.
BROKEN = HOSTILE + "\x1b[31m\x0b\x01\r\ufffe"
GENE = "<b>G&'"
GENES = [GENE, *(f"TOYGENE{n}" for n in range(60))]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Two studies of six donors, three with flu. Names of a study, of samples, cell types and a gene are hostile."""
    path = tmp_path_factory.mktemp("plots") / "plots.duckdb"
    rng = np.random.default_rng(0)
    with new_atlas(path) as atlas:
        for study in (BROKEN, "two"):
            donors = [f"d{n // 4}" for n in range(24)]
            obs = obs_of(
                24,
                sample=[BROKEN + donor for donor in donors],
                donor=donors,
                disease=[("flu", "normal")[n // 12] for n in range(24)],
                cell_type=[BROKEN, None] * 12,
                umap_1=[None, *rng.normal(size=23)],
                umap_2=[*rng.normal(size=24)],
            )
            write_study(atlas, rng.lognormal(size=(24, len(GENES))), GENES, study=study, obs=obs)
        atlas.add_signatures([sigdb.Signature(HOSTILE.replace(" ", ""), (GENE, "TOYGENE1"))])
    with sigdb.connect(path) as con:
        yield con


SIGNATURE = [GENE, "TOYGENE1", "TOYGENE2"]
SMALL = {"min_cells": 1}
CHARTS = {
    "hit_rates": lambda con: plots.hit_rates(sigdb.hits(con, SIGNATURE, **SMALL)),
    "heat_map": lambda con: plots.heat_map(sigdb.group_scores(con, SIGNATURE, **SMALL)),
    "intervals": lambda con: plots.intervals(sigdb.group_scores(con, SIGNATURE, **SMALL)),
    "top_genes": lambda con: plots.top_genes(sigdb.top_genes(con, study="two", n=99), n_genes=99),
    "distributions": lambda con: plots.distributions(sigdb.score_bins(con, SIGNATURE, n_bins=7)),
    "embedding": lambda con: plots.embedding(sigdb.embedding(con, SIGNATURE, max_points=0, n_bins=4)),
    "dots": lambda con: plots.dots(sigdb.gene_dots(con, SIGNATURE, **SMALL)),
    "contributions": lambda con: plots.contributions(sigdb.leading_genes(con, SIGNATURE, **SMALL)),
    "null_scores": lambda con: plots.null_scores(sigdb.matched_null(con, SIGNATURE, n_controls=20, **SMALL)),
    "effects": lambda con: plots.effects(sigdb.compare(con, SIGNATURE, min_cells=1, within=None)),
    "volcano": lambda con: plots.volcano(
        sigdb.gene_compare(con, by="disease", reference="normal", **SMALL), n_labels=50
    ),
}


# They name genes and no group.
CHARTS_OF_GENES = ("volcano", "top_genes")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_drawn_and_keeps_its_sql(con, tmp_path, name):
    chart = CHARTS[name](con)
    spec = chart.to_dict()  # validates against the schema of Vega-Lite
    assert spec["usermeta"]["sql"].startswith(("SELECT", "WITH"))
    assert con.execute(spec["usermeta"]["sql"]).fetchall()
    assert spec["title"]["text"]
    plots.save(chart, tmp_path / "chart.svg")
    drawn = (tmp_path / "chart.svg").read_text()
    assert drawn.count("<path") > 5
    assert "<script" not in drawn
    assert "NaN" not in drawn
    plots.save(chart, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHARTS)
def test_no_name_runs_as_code_in_a_browser(con, tmp_path, name):
    """The title of the page is set by its script alone, after which the chart is there."""
    browser = find_chromium()
    plots.save(CHARTS[name](con), tmp_path / "chart.html")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
    page = subprocess.run([*command, (tmp_path / "chart.html").as_uri()], capture_output=True, text=True, check=True)
    drawn = page.stdout.partition('id="vis"')[2].partition("<script")[0]
    assert ("&lt;b&gt;G" if name in CHARTS_OF_GENES else "\u2039script&gt;document.title") in drawn
    assert "<title>owned" not in page.stdout


@pytest.mark.parametrize("name", ["</script><script>x", "<!--", "a\x1b[2Jb", "\x00", "\udc80", "\uffff"])
def test_a_chart_of_any_origin_is_saved_safely(tmp_path, name):
    """Titles, values and keys are safe, and others stay as they are."""
    values = [{"a": name, name: "a<b & c\n"}]
    chart = alt.Chart(alt.Data(values=values), title=name).mark_bar().encode(x="a:N")
    for form in ("html", "svg", "png", "json"):
        plots.save(chart, tmp_path / f"chart.{form}")
    text = (tmp_path / "chart.json").read_text()
    [value] = json.loads(text)["data"]["values"]
    assert not re.search("[\x00\x1b\udc80\uffff]|<(?=/?script|!--)", "".join([*value, *value.values()]))
    assert "a<b & c\n" in value.values()
    in_page = (tmp_path / "chart.html").read_text().partition("const spec =")[2].partition("const embedOpt")[0]
    assert in_page.strip().rstrip(";") == json.dumps(json.loads(text))


def test_all_charts_are_tested():
    assert set(CHARTS) == set(plots.__all__) - {"save"}


def test_html_is_self_contained_and_json_is_the_spec(con, tmp_path):
    chart = CHARTS["hit_rates"](con)
    plots.save(chart, tmp_path / "chart.html")
    assert not re.search(r"<script[^>]+src=", (tmp_path / "chart.html").read_text())
    plots.save(chart, tmp_path / "chart.json")
    assert json.loads((tmp_path / "chart.json").read_text())["usermeta"] == chart.to_dict()["usermeta"]
    with pytest.raises(QueryError, match=r"one of .html, .png, .svg, .json, not 'chart.pdf'"):
        plots.save(chart, tmp_path / "chart.pdf")


def test_bins_equal_numpy(con):
    answer = sigdb.score_bins(con, SIGNATURE, by="disease", cells="study = 'two'", n_bins=9)
    scores, labels = (
        con.execute(
            "SELECT score, disease FROM signature_score(?) JOIN cells USING (cell_id) WHERE study = 'two'", [SIGNATURE]
        )
        .fetchnumpy()
        .values()
    )
    edges = np.linspace(scores.min(), np.quantile(scores, 0.999), 10)
    clipped = np.minimum(scores, edges[-1])
    for label in ("flu", "normal"):
        counts = dict(zip(np.round(edges[:-1], 9), np.histogram(clipped[labels == label], edges)[0], strict=True))
        found = {round(row["low"], 9): row["n"] for row in answer.table.to_pylist() if row["label"] == label}
        assert found == {low: n for low, n in counts.items() if n}
        rows = [row for row in answer.table.to_pylist() if row["label"] == label]
        assert {round(row["median"], 9) for row in rows} == {round(np.median(scores[labels == label]), 9)}
        assert sum(row["n_above"] for row in rows) == (scores[labels == label] > edges[-1]).sum()


def positions(con, study):
    query = """SELECT umap_1, umap_2, score FROM signature_score(?) JOIN cells USING (cell_id)
        WHERE umap_1 IS NOT NULL AND study = ?"""
    return con.execute(query, [SIGNATURE, study]).fetchnumpy().values()


def test_a_cell_of_a_small_study_is_a_point(con):
    answer = sigdb.embedding(con, SIGNATURE, cells="study = 'two'")
    rows = answer.table.to_pylist()
    assert {(row["study"], row["n"], row["is_binned"]) for row in rows} == {("two", 1, False)}
    found = sorted((row["x_low"], row["y_low"], row["score"]) for row in rows)
    np.testing.assert_allclose(found, sorted(zip(*positions(con, "two"), strict=True)))
    assert all((row["x_low"], row["y_low"]) == (row["x_high"], row["y_high"]) for row in rows)
    assert [row["score"] for row in rows] == sorted(row["score"] for row in rows)


def test_squares_of_a_large_study_equal_numpy(con):
    rows = sigdb.embedding(con, SIGNATURE, max_points=10, n_bins=5).table.to_pylist()
    for study in (BROKEN, "two"):
        x, y, scores = positions(con, study)
        counts, left, low = np.histogram2d(x, y, bins=5)
        sums, _, _ = np.histogram2d(x, y, bins=5, weights=scores)
        expected = [
            (left[i], left[i + 1], low[j], low[j + 1], counts[i, j], sums[i, j] / counts[i, j])
            for i, j in zip(*np.nonzero(counts), strict=True)
        ]
        names = ("x_low", "x_high", "y_low", "y_high", "n", "score")
        found = sorted(tuple(row[name] for name in names) for row in rows if row["study"] == study)
        np.testing.assert_allclose(found, sorted(expected))


def test_each_panel_of_an_embedding_has_its_own_cells_only(con, tmp_path):
    plots.save(plots.embedding(sigdb.embedding(con, SIGNATURE)), tmp_path / "chart.svg")
    drawn = (tmp_path / "chart.svg").read_text()
    assert (
        drawn.count('aria-roledescription="circle"') == 2 * 46
    )  # 2 x 24 cells, by score and by type; one of each study has no position


def test_an_unknown_embedding_is_refused(con):
    with pytest.raises(QueryError, match=r"no embedding tsne in this atlas. It has: umap. .*obsm=\[.X_tsne.\]"):
        sigdb.embedding(con, SIGNATURE, basis="tsne")


def test_group_tables_agree_with_the_cells(con):
    means = sigdb.group_scores(con, SIGNATURE, cells="study = 'two'", **SMALL).table.to_pylist()
    expected = con.execute(
        """SELECT cell_type, disease, avg(score), count(*), count(DISTINCT sample) FROM signature_score(?)
        JOIN cells USING (cell_id) WHERE study = 'two' GROUP BY ALL""",
        [SIGNATURE],
    ).fetchall()
    rows = {(row["cell_type"], row["label"]): (row["score"], row["n_cells"], row["n_samples"]) for row in means}
    assert rows == {(row[0], row[1]): (pytest.approx(row[2]), row[3], row[4]) for row in expected}
    dots = sigdb.gene_dots(con, SIGNATURE, by="donor", cells="disease = 'flu'", **SMALL).table.to_pylist()
    expected = con.execute(
        """SELECT donor, gene, sum(score) / 8, count(*) / 8 FROM gene_attributions(?) JOIN cells USING (cell_id)
        WHERE disease = 'flu' GROUP BY ALL""",
        [SIGNATURE],
    ).fetchall()
    found = {(row["label"], row["gene"]): (row["score"], row["fraction_nonzero"]) for row in dots}
    assert len(found) == 9
    assert found == {(donor, gene): (pytest.approx(mean), part) for donor, gene, mean, part in expected}


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("altair", "plots", lambda con: CHARTS["dots"](con)),
        ("statsmodels", "stats", lambda con: sigdb.compare(con, SIGNATURE, min_cells=1)),
    ],
)
def test_a_missing_package_is_named(con, monkeypatch, package, extra, call):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.api", None)
    with pytest.raises(MissingDependencyError, match=rf"pip install -e '\.\[{extra}\]'"):
        call(con)
