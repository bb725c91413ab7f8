"""The page from a server: tokens, and names from an atlas that try to be code."""

from __future__ import annotations

from contextlib import contextmanager
from urllib.parse import quote

import duckdb
import pytest

from sigdb.serve.tokens import add_token
from tests.support.toy import copy_toy
from tests.web.conftest import opened, running

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE cells; --",
    "</script><b>",
    "__proto__",
    "\\N",
    "${1}",
    "a\nb",
]

local = contextmanager(running)


def test_a_token_opens_the_page(chromium, demo_path, tmp_path):
    token = add_token(tmp_path / "team.tokens", "ada")
    arguments = ("serve", str(demo_path), "--token-file", str(tmp_path / "team.tokens"), "--port", "0")
    with local(*arguments) as address, opened(chromium) as page:
        page.page.goto(f"{address}/#tab=sql&sql={quote('SELECT 42 AS x')}")
        page.page.fill("#token", "wrong")
        page.page.click("button:has-text('Open')")
        page.page.wait_for_selector("[role=alert]")
        page.page.fill("#token", token)
        page.page.click("button:has-text('Open')")
        page.page.wait_for_selector("#panel[aria-busy=false]")
        page.page.click(".tab button:text-is('Run')")
        page.page.wait_for_selector(".tab table")
        assert page.table() == [{"x": "42"}]
        kept = page.page.evaluate("() => JSON.stringify([document.cookie, localStorage, location.href])")
        assert token not in kept
        assert page.text("#atlas .user") == "ada"
        page.page.click("button:text-is('Log out')")
        page.page.wait_for_selector("#token")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A toy atlas whose cell types and signatures have names that try to be code."""
    path = copy_toy(tmp_path_factory.mktemp("hostile") / "hostile.duckdb")
    with duckdb.connect(path) as con:
        for number, name in enumerate(HOSTILE):
            con.execute(
                "UPDATE sigdb_data.cell_data SET cell_type = ? WHERE cell_id % ? = ?", [name, len(HOSTILE), number]
            )
            con.execute("INSERT INTO sigdb_data.signature_info VALUES (?, NULL, ?)", [name, name])
            con.execute("INSERT INTO sigdb_data.signatures SELECT ?, 0, 'S100A8', 1", [name])
    yield from running("explore", str(path), "--no-browser")


def test_hostile_names_are_only_text(chromium, hostile):
    with opened(chromium) as page:
        page.run(f"{hostile}/#tab=sql&sql=" + quote("SELECT DISTINCT cell_type FROM cells ORDER BY ALL"))
        page.page.wait_for_selector(".tab table")
        names = page.page.evaluate("() => [...document.querySelectorAll('.tab td')].map((cell) => cell.textContent)")
        assert set(names) <= set(HOSTILE)
        assert len(names) > 2
        for name in HOSTILE:
            state = {"cell_type": [name], "s": ["@" + name], "tab": "scores"}
            page.page.evaluate("async (state) => { await sigdb.app.setState(state); }", state)
            assert page.page.evaluate("() => sigdb.app.signature.genes") == ["S100A8"]
            condition = page.page.evaluate("() => sigdb.app.condition()")
            found = page.ask(f"SELECT DISTINCT cell_type FROM cells WHERE {condition}")
            assert found == ([{"cell_type": name}] if name in names else [])
        page.page.click("[role=tab]:has-text('Atlas')")
        page.wait()
        assert page.page.query_selector("#panel img, #panel b, aside img, aside b") is None
        assert page.problems == []
