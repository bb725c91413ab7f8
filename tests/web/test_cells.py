"""The tab of cells: its numbers are those of sigdb, a lasso finds the same cells in the page and in SQL, and links."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest

import sigdb
from tests.web.conftest import EMBEDDED as STUDY
from tests.web.conftest import opened
from tests.web.host import serve

GENES = ["LYZ", "CD14", "FCN1", "AIF1"]
TAB = "tab=cells&s=" + quote(" ".join(GENES))


@pytest.fixture(scope="module")
def con(embedded):
    with sigdb.connect(embedded) as con:
        yield con


@pytest.fixture
def host(embedded_host):
    return embedded_host


def shown(page):
    """The heading of the lasso, and how many cells the page counts itself."""
    return page.text("[aria-label='Cells in the lasso'] h2"), page.text(".buttons [role=status]")


def test_numbers_are_those_of_sigdb_and_of_the_lasso(any_browser, host, con):
    """In both browsers: the table of groups, the cells in a polygon, the genes and the signatures."""
    inside = "c.umap_1 BETWEEN 2 AND 30 AND c.umap_2 BETWEEN -2 AND 2"
    with opened(any_browser) as page:
        page.page.set_default_timeout(90_000)
        page.open(f"{host.address}/#{TAB}&lasso=2,-2,30,-2,30,2,2,2&special=1")
        rows = page.table(2)
        expected = con.execute(
            f"""SELECT coalesce(c.cell_type, ''), count(*), avg(s.score), count(*) FILTER ({inside})
            FROM signature_score(?) AS s JOIN cells AS c USING (cell_id) WHERE c.study = ? GROUP BY ALL""",
            [GENES, STUDY],
        ).fetchall()
        found = [(row["label"], number(row["n_cells"]), number(row["score"]), number(row["n_lassoed"])) for row in rows]
        assert sorted(found) == [(a, b, pytest.approx(c), d) for a, b, c, d in sorted(expected)]
        n = sum(row[3] for row in expected)
        assert 20 < n < 400
        assert shown(page) == (f"{n} cells in the lasso", f"{n} cells in the lasso")
        genes = page.table(0)
        assert genes[0]["gene"] in ("LYZ", "S100A9", "S100A8", "CST3", "FTL", "FTH1", "TYROBP")
        mean = (
            con.execute(
                f"SELECT coalesce(sum(a.score), 0) FROM gene_attributions([?]) AS a JOIN cells AS c USING (cell_id) "
                f"WHERE c.study = ? AND {inside}",
                [genes[0]["gene"], STUDY],
            ).fetchone()[0]
            / n
        )
        assert number(genes[0]["score"]) == pytest.approx(mean)
        assert {int(row["n_cells"]) for row in genes} == {n}
        assert len(page.table(1)) == con.execute("SELECT count(DISTINCT signature) FROM signatures").fetchone()[0]
        assert page.problems == []


def number(text):
    return float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


def test_a_lasso_is_drawn_and_its_link_leads_to_the_same_cells(chromium, host):
    with opened(chromium) as page:
        page.open(f"{host.address}/#{TAB}")
        box = page.page.locator(".plane svg").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.page.click("button:has-text('Lasso')")
        page.page.mouse.move(x + 90, y)
        page.page.mouse.down()
        for angle in np.linspace(0, 6.2, 50):
            page.page.mouse.move(x + 90 * np.cos(angle), y + 70 * np.sin(angle))
        page.page.mouse.up()
        page.page.wait_for_selector("[aria-label='Cells in the lasso']")
        drawn = shown(page)
        assert drawn[0] == drawn[1] != "0 cells in the lasso"
        corners = parse_qs(urlsplit(page.page.url).fragment)["lasso"][0].split(",")
        assert 20 < len(corners) <= 160
        with opened(chromium) as other:
            other.open(page.page.url)
            assert shown(other) == drawn
            other.page.click("button:has-text('These cells in the SQL tab')")
            other.wait()
            assert len(other.ask(other.page.input_value("textarea.sql"))) == int(drawn[0].split()[0])


def test_the_embedding_is_used_by_keyboard(page, host):
    page.open(f"{host.address}/#{TAB}")
    page.page.focus(".plane svg")
    for key in ("+", "+", "ArrowRight", "ArrowUp"):
        page.page.keyboard.press(key)
    page.page.wait_for_url("**look=**")
    page.page.click("button:has-text('Select what is in view')")
    page.page.wait_for_selector("[aria-label='Cells in the lasso']")
    some = int(page.text("[aria-label='Cells in the lasso'] h2").split()[0].replace(",", ""))
    assert 0 < some < 700
    page.page.focus(".plane svg")
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("[aria-label='Cells in the lasso']", state="detached")
    assert "lasso" not in page.page.url
    label = page.page.get_attribute(".plane svg", "aria-label")
    assert "Arrow keys move" in label
    assert STUDY in label


def test_pixels_have_the_colours_of_the_points(page, host):
    """The views have the colours of the legend: one for each type that it names, and many for the scores."""
    page.open(f"{host.address}/#{TAB}")
    colours = page.page.evaluate(
        """() => [...document.querySelectorAll('.plane canvas')].map((canvas) => {
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const pixels = Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 4));
            return new Set(pixels.filter((pixel) => pixel[3]).map(String)).size;
        })"""
    )
    n_types = page.page.locator(".swatches li").count()
    assert colours[1] == n_types
    assert colours[0] > 10


def test_a_point_is_described(page, host):
    page.open(f"{host.address}/#{TAB}")
    box = page.page.locator(".plane svg").last.bounding_box()
    for shift in np.linspace(0.2, 0.8, 30):
        page.page.mouse.move(box["x"] + box["width"] * shift, box["y"] + box["height"] / 2)
        if page.page.is_visible(".tip"):
            break
    assert "score" in page.text(".tip")
    assert page.page.locator(".ring").count() == 2


def test_filters_choose_the_cells(page, host, con):
    page.open(f"{host.address}/#{TAB}&cell_type=CD14%2B+Monocyte")
    n = con.execute("SELECT count(*) FROM cells WHERE study = ? AND cell_type = 'CD14+ Monocyte'", [STUDY]).fetchone()[
        0
    ]
    assert [number(row["n_cells"]) for row in page.table()] == [n]
    page.open(f"{host.address}/#{TAB}&study=wu2020_tcell")
    assert "No cell that the filters keep has a place in umap" in page.text(".tab")


def test_the_picture_is_a_png(page, host):
    page.open(f"{host.address}/#{TAB}")
    with page.page.expect_download() as download:
        page.page.click("button[aria-label='Download the embedding as PNG']")
    assert download.value.path().read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_atlas_without_an_embedding_says_how_to_add_one(page, site):
    with serve(site) as host:
        page.open(f"{host.address}/#{TAB}")
        assert "--obsm X_umap" in page.text(".tab")
        assert page.problems == []


def test_another_text_in_the_link_is_no_lasso(page, host):
    page.open(f"{host.address}/#{TAB}&lasso=1,2)%20OR%20(1=1&look=a,b&basis=nope&beside=nope&embedded=nope")
    assert page.page.locator("[aria-label='Cells in the lasso']").count() == 0
    assert page.page.locator(".plane canvas").count() == 2
    assert page.problems == []


def test_the_comparison_of_a_lasso_can_be_stopped(page, host):
    """Here, the engine answers never, so that the question is stopped while it runs."""
    page.open(f"{host.address}/#{TAB}&lasso=2,-2,30,-2,30,2,2,2")
    page.page.evaluate(
        """() => {
            sigdb.app.ask = (sql, { signal }) => new Promise((_, reject) =>
                signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))));
        }"""
    )
    page.page.click("button:has-text('What is special')")
    assert "1 of 2: genes" in page.text(".tab")
    page.page.click("button:has-text('Cancel')")
    page.page.wait_for_selector("progress", state="detached")
    assert page.page.locator("text=Signatures that are raised").count() == 0
    assert page.page.locator("text=Cancelled.").count() == 2
    assert page.problems == []
