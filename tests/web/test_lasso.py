"""The lasso is a filter of the tabs that read single cells. The others say why they do not follow it."""

from __future__ import annotations

from urllib.parse import quote

import pytest

import sigdb
from sigdb.findings.groups import calibrated_scores
from tests.web.conftest import local_server
from tests.web.host import serve
from tests.web.test_cells import GENES, STUDY, TAB
from tests.web.test_tabs import check_rows, rows_of, show_all

SIGNATURE = "s=" + quote(" ".join(GENES))
LASSO = f"basis=umap&embedded={STUDY}&lasso=0,-2,30,-2,30,2,0,2"
# The positions of the atlas have many digits: none is on an edge.
CELLS = f"study = '{STUDY}' AND umap_1 BETWEEN 0 AND 30 AND umap_2 BETWEEN -2 AND 2"
BY = {"study": "study", "label": "cell_type"}
FOLLOWING = {
    "scores": (
        "tab=scores&by=cell_type&min_cells=5",
        lambda con, cells: calibrated_scores(con, GENES, BY, cells, 5).table,
    ),
    "distributions": (
        "tab=distributions&n_bins=20&min_cells=5",
        lambda con, cells: sigdb.score_bins(con, GENES, by="cell_type", cells=cells, n_bins=20, min_cells=5).table,
    ),
    "hits": (
        "tab=hits&by=sample&min_cells=3&min_samples=1",
        lambda con, cells: sigdb.hits(con, GENES, by="sample", cells=cells, min_cells=3, min_samples=1).all_samples,
    ),
}


@pytest.fixture
def page(page):
    """Calibrated scores take seconds in a browser."""
    page.page.set_default_timeout(60_000)
    return page


@pytest.fixture(scope="module", params=["wasm", "server"])
def address(request, embedded):
    """The address of a page with the embedded atlas, by each engine."""
    if request.param == "wasm":
        with serve(request.getfixturevalue("embedded_site")) as host:
            yield host.address
    else:
        yield from local_server(embedded)


@pytest.fixture(scope="module")
def con(embedded):
    with sigdb.connect(embedded) as con:
        yield con


def n_cells(con, condition):
    return con.execute(f"SELECT count(*) FROM cells WHERE {condition}").fetchone()[0]


@pytest.mark.parametrize("tab", FOLLOWING)
@pytest.mark.parametrize("kept", [[], ["CD14+ Monocyte", "Dendritic"]])
def test_a_tab_reads_the_cells_in_the_lasso(page, address, con, tab, kept):
    settings, find = FOLLOWING[tab]
    page.open(f"{address}/#{SIGNATURE}&{LASSO}&{settings}" + "".join(f"&cell_type={quote(each)}" for each in kept))
    cells = CELLS + (f" AND cell_type IN {tuple(kept)}" if kept else "")
    show_all(page)
    expected = rows_of(find(con, cells))
    assert expected != rows_of(find(con, f"study = '{STUDY}'"))
    check_rows(page.table(), expected)
    assert f"Lasso: {n_cells(con, cells)} cells of {STUDY}" in page.text("#filters")
    assert page.problems == []


def test_the_top_genes_of_the_lasso(page, address, con):
    """Any filter can be used, also that of donors."""
    page.open(f"{address}/#{LASSO}&tab=top&n=25&cell_type=CD14%2B+Monocyte&cell_type=Dendritic&donor=donorA")
    show_all(page)
    cells = f"{CELLS} AND cell_type IN ('CD14+ Monocyte', 'Dendritic')"
    rows = con.execute(
        f"""SELECT g.symbol, sum(abs(a.score)) / {n_cells(con, cells)} AS score
        FROM sigdb_data.attributions AS a JOIN genes AS g USING (gene_id)
        WHERE a.cell_id IN (SELECT cell_id FROM cells WHERE {cells}) GROUP BY ALL ORDER BY score DESC LIMIT 25"""
    ).fetchall()
    found = [(row["gene"], float(row["score"])) for row in page.table()]
    assert found == [(gene, pytest.approx(score, rel=1e-5)) for gene, score in rows]


@pytest.mark.parametrize("tab", ["atlas", "leading", "null&n_controls=20", "gene"])
def test_a_tab_of_groups_says_that_it_does_not_follow(page, embedded_host, tab):
    page.open(f"{embedded_host.address}/#{SIGNATURE}&tab={tab}")
    show_all(page)
    everything = page.table()
    assert "lasso" not in page.text(".tab")
    page.open(f"{embedded_host.address}/#{SIGNATURE}&{LASSO}&tab={tab}")
    show_all(page)
    assert "The lasso does not choose cells here: this tab reads sums of whole groups" in page.text(".tab")
    assert page.table() == everything


def test_the_lasso_is_removed_by_its_chip(page, embedded_host):
    page.open(f"{embedded_host.address}/#{SIGNATURE}&{LASSO}&tab=distributions")
    in_lasso = page.text(".tab")
    page.page.click("button[aria-label='Remove the lasso']")
    page.wait()
    assert "lasso=" not in page.page.url
    assert page.text(".tab") != in_lasso
    assert "Lasso" not in page.text("#filters")
    page.page.go_back()
    page.wait()
    assert "Lasso" in page.text("#filters")


def test_a_lasso_that_is_drawn_is_followed(page, embedded_host):
    """Its chip is there at once, and its study in the address."""
    page.open(f"{embedded_host.address}/#{TAB}")
    page.page.click("button:has-text('Select what is in view')")
    page.page.wait_for_selector("#filters .chip")
    n = page.text("[aria-label='Cells in the lasso'] h2").split()[0]
    assert f"Lasso: {n} cells of {STUDY}" in page.text("#filters")
    assert f"embedded={STUDY}" in page.page.url
    page.page.click("#tab-distributions")
    page.wait()
    show_all(page)
    sizes = {row["label"]: int(row["n_cells"]) for row in page.table()}
    assert 0 < sum(sizes.values()) <= int(n.replace(",", ""))


def test_a_lasso_without_cells_says_so(page, embedded_host):
    page.open(f"{embedded_host.address}/#{SIGNATURE}&{LASSO}&tab=hits&study=wu2020_tcell")
    assert "The lasso has no cell that the filters keep." in page.text(".tab")
    page.page.click(".tab button:has-text('Remove the lasso')")
    page.wait()
    assert page.page.locator(".tab .chart svg").count() == 1


def test_a_lasso_of_another_study_is_not_drawn(page, embedded_host):
    page.open(f"{embedded_host.address}/#{TAB}&basis=umap&embedded=other&lasso=0,-2,30,-2,30,2,0,2")
    assert page.page.locator("[aria-label='Cells in the lasso']").count() == 0
    assert "Lasso: 0 cells of other" in page.text("#filters")
