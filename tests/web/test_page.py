"""The page as static files: numbers, bytes, links, downloads, errors, and what it may reach."""

from __future__ import annotations

import csv
import io
import json
import re
from urllib.parse import quote, urlsplit

import pytest

from tests.web.conftest import opened
from tests.web.host import serve

SIGNATURE = "s=" + quote("CD3E CD8A:2 -FOXP3")


def test_numbers_are_those_of_sigdb(any_browser, host, con):
    """Both browsers, by a statement of a reader and by the tab of scores."""
    sql = (
        "SELECT cell_id, score FROM signature_score(['CD3E', 'CD8A', 'FOXP3'], weights := [1, 2, -1]) ORDER BY cell_id"
    )
    rows = con.execute(sql).fetchall()
    with opened(any_browser) as page:
        page.open(f"{host.address}/#{SIGNATURE}&tab=scores")
        found = page.ask(sql)
        assert [(row["cell_id"], pytest.approx(row["score"], rel=1e-12)) for row in found] == rows
        assert page.problems == []


def test_both_engines_give_the_table_of_sigdb(page, address, con):
    """The tab of scores, with every name of a signature resolved, and one left out."""
    page.open(f"{address}/#tab=scores&by=study&min_cells=1&s=" + quote("cd3e CD8A:2 -FOXP3 FOXQQ"))
    found = {(row["cell_type"], row["label"]): row for row in page.table(1)}
    rows = con.execute(
        "SELECT cell_type, study, sum(score * n_cells) / sum(n_cells), sum(n_cells)::BIGINT FROM signature_by_sample("
        "['CD3E', 'CD8A', 'FOXP3'], weights := [1, 2, -1]) WHERE score IS NOT NULL GROUP BY ALL"
    ).fetchall()
    assert len(found) == len(rows)
    for cell_type, study, score, n_cells in rows:
        row = found[cell_type or "", study]
        assert float(row["score"].replace("\N{MINUS SIGN}", "-")) == pytest.approx(score, rel=1e-9)
        assert int(row["n_cells"]) == n_cells
    assert "FOXQQ" in page.text("aside .warning")
    assert "3 of 4 genes known, 1 by another name" in page.text("aside .report")
    assert page.problems == []


def test_a_suggestion_replaces_a_missing_gene(page, host):
    page.open(f"{host.address}/#s=" + quote("CD3E FOXP33"))
    page.page.click("aside .warning button:has-text('FOXP3')")
    page.wait()
    assert page.page.input_value("aside textarea") == "CD3E FOXP3"
    assert page.page.query_selector("aside .warning") is None


def test_a_signature_of_the_library_is_picked_and_another_added(page, host, con):
    page.open(f"{host.address}/")
    page.page.wait_for_selector("datalist option", state="attached")
    page.page.fill("aside input[list]", "ms1")
    page.page.press("aside input[list]", "Tab")
    page.wait()
    ((n,),) = con.execute("SELECT count(*) FROM signatures WHERE signature = 'MS1'").fetchall()
    assert f"of {n} genes known" in page.text("aside .report")
    page.page.fill("aside textarea", "CD3E, CD8A")
    page.page.click("button:has-text('Add as another')")
    page.wait()
    assert page.page.eval_on_selector_all(
        ".chip button[aria-pressed]", "all => all.map((each) => each.textContent)"
    ) == [
        "MS1",
        "CD3E, CD8A",
    ]
    page.page.click(".chip button:has-text('MS1')")
    page.wait()
    assert "Mean z of MS1" in page.text(".tab h2")


def test_a_filter_changes_what_is_counted(page, host, con):
    page.open(f"{host.address}/")
    page.page.click(".filter summary:has-text('Tissue')")
    page.page.check("label:has-text('blood') input >> nth=0")
    page.wait()
    name = page.page.evaluate("() => sigdb.app.state.tissue[0]")
    ((n,),) = con.execute("SELECT count(*) FROM cells WHERE tissue = ?", [name]).fetchall()
    assert f"{n:,} of 1,757 cells." in page.text("#filters")
    assert sum(int(row["n_cells"]) for row in page.table()) == n


def test_the_keyboard_reaches_every_tab(page, host):
    page.open(f"{host.address}/")
    page.page.focus("[role=tab][aria-selected=true]")
    tabs = page.page.eval_on_selector_all("[role=tab]", "all => all.map((each) => each.id)")
    for name in [*tabs[1:], tabs[0]]:
        page.page.keyboard.press("ArrowRight")
        page.wait()
        assert page.page.evaluate("() => document.activeElement.id") == name
        assert page.page.get_attribute(f"#{name}", "aria-selected") == "true"
    assert page.page.eval_on_selector_all("[role=tab]", "all => all.filter((each) => each.tabIndex === 0).length") == 1


def test_edited_sql_is_run_in_its_place(page, host):
    page.open(f"{host.address}/")
    page.page.click(".card .editor summary")
    page.page.fill(".card textarea", "SELECT 'x' AS study, 'y' AS cell_type, 3 AS n_cells")
    page.page.click(".card .editor button:text-is('Run')")
    page.page.wait_for_selector("summary:has-text('1 row')")
    assert page.table()[0] == {"study": "x", "cell_type": "y", "n_cells": "3"}
    page.page.click(".card .editor button:text-is('Reset')")
    page.page.wait_for_selector("summary:has-text('44 rows')")


def test_the_first_picture_reads_a_part_of_the_atlas(page, host):
    page.open(f"{host.address}/")
    assert page.page.query_selector(".chart svg") is not None
    # Filters and library come after the first answer.
    page.page.wait_for_selector(".filter")
    page.page.wait_for_selector("datalist option", state="attached")
    first = host.sent["demo.duckdb"]
    assert 100_000 < first < 6_000_000
    page.ask("SELECT avg(score) FROM signature_score(['LYZ', 'CD14'])")
    # DuckDB reads ahead, so this is more than it needs, and the demo is small.
    assert first < host.sent["demo.duckdb"] < 0.7 * (host.folder / "demo.duckdb").stat().st_size


def test_the_page_asks_no_other_host_and_keeps_its_policy(any_browser, host):
    with opened(any_browser) as page:
        page.open(f"{host.address}/#{SIGNATURE}")
        for tab in page.page.query_selector_all("[role=tab]"):
            tab.click()
            page.wait()
        assert {urlsplit(each).netloc for each in page.requests if not each.startswith("data:")} == {
            urlsplit(host.address).netloc
        }
        assert page.problems == []


def test_a_host_of_another_page_is_not_reached(page, host):
    """DuckDB itself may not read another address, even if a reader writes it into a statement."""
    page.open(f"{host.address}/")
    with serve(host.folder) as other:
        for table in (f"'{other.address}/demo.duckdb'", f"read_csv('{other.address}/config.json')"):
            with pytest.raises(Exception, match=r"disabled|not allowed|Permission|does not exist|extension"):
                page.ask(f"FROM {table}")
        assert other.n_requests == 0


def test_a_link_leads_to_what_the_reader_saw(chromium, host):
    with opened(chromium) as page:
        page.open(f"{host.address}/")
        page.page.fill("textarea", "CD3E CD8A:2")
        page.page.press("textarea", "Enter")
        page.wait()
        page.page.click(".filter summary:has-text('Study')")
        page.page.check("label:has-text('wu2020_tcell') input")
        page.wait()
        page.page.click("[role=tab]:has-text('SQL')")
        page.wait()
        page.page.fill(".tab textarea", "SELECT 'a#b&c' AS x, count(*) AS n FROM cells")
        page.page.click(".tab button:has-text('Run')")
        page.wait()
        page.page.wait_for_selector(".tab table")
        shown, address = page.table(), page.page.url
    with opened(chromium) as page:
        page.open(address)
        # A statement of a link waits for the reader.
        assert "has not run yet" in page.text(".tab")
        page.run(address)
        page.page.wait_for_selector(".tab table")
        assert page.table() == shown == [{"x": "a#b&c", "n": "1757"}]
        assert page.page.input_value("aside textarea") == "CD3E CD8A:2"
        assert page.page.is_checked("label:has-text('wu2020_tcell') input") or "1" in page.text(".filter.chosen .count")
        page.page.go_back()


def test_the_first_tab_key_reaches_the_link_to_the_answer(page, host):
    page.open(f"{host.address}/")
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("() => document.activeElement.className") == "skip"


def test_filters_that_keep_no_cell_are_cleared(page, host):
    page.open(f"{host.address}/#s=LYZ&tab=hits&study=nosuch")
    assert page.text("#panel") == "No cell passes the filters. Clear all"
    page.page.click("#panel button:text-is('Clear all')")
    page.page.wait_for_selector(".tab .card")
    assert "nosuch" not in page.page.url
    page.wait()
    assert not page.page.is_visible("#filters button:text-is('Clear all')")


def test_a_name_of_several_genes_is_replaced_by_a_click(page, host):
    page.open(f"{host.address}/#s=" + quote("LYZ -BAR"))
    assert "A name of several genes, and left out (1). Choose one:" in page.text("aside .warning")
    assert "Not in this atlas" not in page.text("aside")
    page.page.click("aside .warning button:text-is('BFAR')")
    page.wait()
    assert page.page.input_value("aside textarea") == "LYZ BFAR:-1"


def test_a_long_list_of_missing_genes_is_folded(page, host):
    page.open(f"{host.address}/#s=" + quote("LYZ " + " ".join(f"NOSUCH{n}" for n in range(9))))
    assert "4 more" in page.text("aside .warning summary")


def test_a_link_names_a_signature_as_the_box_does(page, host):
    page.open(f"{host.address}/#s=ms1&tab=leading")
    assert "Leading genes of MS1" in page.text(".tab h2")
    assert "s=%40MS1" in page.page.url


def test_back_goes_to_the_state_before(page, host):
    page.open(f"{host.address}/#tab=runs")
    page.page.click("[role=tab]:has-text('Atlas')")
    page.wait()
    page.page.go_back()
    page.page.wait_for_selector("#tab-runs[aria-selected=true]")
    page.wait()
    assert "Attribution runs" in page.text(".tab")


def download(page, name: str) -> bytes:
    with page.page.expect_download() as found:
        page.page.click(f".card button:text-is('{name}')")
    with open(found.value.path(), "rb") as file:
        return file.read()


def test_downloads_can_be_read_again(chromium, host, con):
    """The driver of Firefox sees no downloads."""
    with opened(chromium) as page:
        page.open(f"{host.address}/")
        rows = list(csv.DictReader(io.StringIO(download(page, "CSV").decode(), newline="")))
        counted = con.execute("SELECT study, cell_type, count(*) FROM cells GROUP BY ALL").fetchall()
        assert sorted((row["study"], row["cell_type"], int(row["n_cells"])) for row in rows) == sorted(
            (study, cell_type or "(no type)", n) for study, cell_type, n in counted
        )
        png = download(page, "PNG")
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        width = int.from_bytes(png[16:20], "big")
        svg = download(page, "SVG").decode()
        assert ">Cells by cell type and study<" in svg
        assert 'xmlns="http://www.w3.org/2000/svg"' in svg
        assert "CD14+ Monocyte" in svg
        # PNG has 2 pixels per point.
        assert abs(width - 2 * float(re.search(r'width="([\d.]+)"', svg)[1])) <= 2
        assert page.problems == []


def test_a_spreadsheet_computes_nothing_from_a_download(page, host):
    page.run(f"{host.address}/#tab=sql&sql=" + quote("""SELECT '=1+1' AS "=x", 'a"b,c' AS y, -1 AS z, NULL AS n"""))
    assert list(csv.reader(io.StringIO(download(page, "CSV").decode(), newline=""))) == [
        ["'=x", "y", "z", "n"],
        ["'=1+1", 'a"b,c', "-1", ""],
    ]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT * FROM signature_score(['S100A88'])", "S100A88"),
        ("SELECT nothing FROM cells", 'column "nothing" not found'),
        ("SELEC 1", "SELEC is not allowed"),
        ("SELECT 1 FROM (", "syntax error"),
        ("SELECT 1; SELECT 2", "these are several statements"),
        ("SELECT 1,\N{NO-BREAK SPACE}e'\\'' ; CREATE TEMP MACRO m() AS 1 --'", "these are several statements"),
        ("CREATE TEMP MACRO signature_score(genes) AS 1", "CREATE is not allowed"),
        ("SELECT '<img src=x onerror=alert(1)>' AS x, error('<b>no</b>')", "<b>no</b>"),
    ],
)
def test_errors_are_shown_whole(page, host, sql, says):
    page.run(f"{host.address}/#tab=sql&sql={quote(sql)}")
    page.page.wait_for_selector(".tab [role=alert]")
    assert says.lower() in page.text("[role=alert]").lower()
    assert page.page.query_selector(".tab img, .tab b") is None
    # The engine still answers.
    assert page.ask("SELECT 1 AS x") == [{"x": 1}]


def test_a_question_can_be_cancelled(page, address):
    page.open(f"{address}/")
    endless = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range % 7 = 3"
    page.page.evaluate("(sql) => { sigdb.app.setState({ tab: 'sql', sql }); }", endless)
    page.page.click(".tab .card button:text-is('Run') >> nth=0")
    page.page.click(".waiting button:has-text('Cancel')")
    page.page.wait_for_selector("text=Cancelled.")
    assert page.ask("SELECT 1 AS x") == [{"x": 1}]


@pytest.mark.parametrize("options", [{"has_ranges": False}, {"compresses": True}])
def test_a_host_that_serves_no_parts_is_noticed(chromium, site, options):
    with serve(site, **options) as host, opened(chromium) as page:
        page.open(f"{host.address}/")
        assert "The whole file is downloaded instead." in page.text("#notices")
        assert page.ask("SELECT count(*) AS n FROM cells") == [{"n": 1757}]


def test_an_atlas_that_is_not_there_is_explained(chromium, site, tmp_path):
    for name in site.iterdir():
        if name.suffix != ".duckdb":
            (tmp_path / name.name).write_bytes(name.read_bytes())
    with serve(tmp_path) as host, opened(chromium) as page:
        page.page.goto(host.address)
        page.page.wait_for_selector("[role=alert]")
        assert "There is no atlas at" in page.text("[role=alert]")
        (tmp_path / "demo.duckdb").write_text("no atlas" * 100)
        page.page.goto(host.address)
        page.page.wait_for_selector("[role=alert]")
        assert "cannot be opened as an atlas" in page.text("[role=alert]")


def test_a_file_is_picked(any_browser, site, demo_path, tmp_path):
    for name in site.iterdir():
        if name.suffix != ".duckdb":
            (tmp_path / name.name).write_bytes(name.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"engine": "wasm", "version": "", "atlases": []}))
    with serve(tmp_path) as host, opened(any_browser) as page:
        page.page.goto(host.address)
        page.page.set_input_files("#file", demo_path)
        page.wait()
        assert page.ask("SELECT count(*) AS n FROM signature_score(['LYZ'])") == [{"n": 1757}]
        assert page.problems == []


def test_one_file_opens_a_picked_atlas_without_a_host(any_browser, demo_path, tmp_path):
    from sigdb.explorer.pages import write_single_page

    write_single_page(tmp_path / "explorer.html")
    with opened(any_browser) as page:
        page.page.goto((tmp_path / "explorer.html").as_uri())
        page.page.set_input_files("#file", demo_path)
        page.wait()
        assert page.page.query_selector(".chart svg") is not None
        assert page.ask("SELECT count(*) AS n FROM signature_score(['LYZ'])") == [{"n": 1757}]
        assert page.problems == []
        assert [each for each in page.requests if not each.startswith(("file:", "blob:", "data:"))] == []


def test_a_reader_chooses_among_the_atlases_of_a_page(page, demo_path, embedded, tmp_path):
    """The address keeps the question and names the atlas."""
    from sigdb.explorer.pages import write_page

    write_page(tmp_path / "site", demo_path, embedded)
    with serve(tmp_path / "site") as host:
        page.open(f"{host.address}/#tab=cells&{SIGNATURE}")
        assert "--obsm" in page.text(".tab")  # the demo has no embedding
        assert page.page.locator("select[aria-label=Atlas] option").all_inner_texts() == [demo_path.stem, "embedded"]
        with page.page.expect_navigation():
            page.page.select_option("select[aria-label=Atlas]", "embedded")
        page.page.wait_for_selector(".plane canvas")
        assert "atlas=embedded" in page.page.url
        assert "CD3E CD8A:2 -FOXP3" in page.page.input_value("aside textarea")
        with opened(page.page.context.browser) as other:
            other.open(page.page.url)
            assert other.page.title().startswith("embedded ")
        assert page.problems == []


def test_a_long_text_of_a_table_is_one_line_and_has_a_title(page, host):
    """A name of several words is not broken, a long one is cut, and its whole text is there."""
    long = "a very long name of a cell type " * 8
    names = "(VALUES ('normal adjacent', 1), ('paired t', 2), ('" + long + "', 3)) AS v (name, n)"
    page.run(
        f"{host.address}/#tab=sql&sql="
        + quote(f"SELECT v.name, {', '.join(f'v.n AS n{i}' for i in range(30))} FROM {names}")
    )
    cells = page.page.locator(".tab tbody td.text")
    sizes = [cells.nth(n).bounding_box() for n in range(3)]
    assert max(size["height"] for size in sizes) < 30  # one line
    assert 120 < sizes[2]["width"] < 400
    assert [cells.nth(n).get_attribute("title") for n in range(3)] == [None, None, long]
    assert cells.nth(2).evaluate("(cell) => getComputedStyle(cell).textOverflow") == "ellipsis"
