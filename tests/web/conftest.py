"""Browsers, and the page as people open it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import sigdb
from tests.support import ROOT
from tests.web.host import Host, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BROWSERS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), {"args": ["--no-sandbox"]}),
    "firefox": (("firefox-esr", "firefox"), {"channel": "moz-firefox"}),
}


# The study of the demo atlas that gets an embedding.
EMBEDDED = "zheng2017_pbmc68k"


class Opened:
    """A page in a browser, what went wrong in it, and the addresses that it asked for."""

    def __init__(self, page: Any) -> None:
        self.page, self.problems, self.requests = page, [], []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda said: said.type == "error" and self.problems.append(said.text))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, address: str) -> None:
        """Open an address, and wait until the tab has an answer."""
        self.page.goto(address)
        self.wait()

    def wait(self) -> None:
        """Wait until all questions of the tab are answered."""
        self.page.wait_for_selector("#panel[aria-busy=false], #panel > [role=alert]")
        assert self.page.query_selector("#panel > [role=alert]") is None, self.text("#panel")

    def run(self, address: str) -> None:
        """Open a link to a statement, and run it."""
        self.open(address)
        self.page.click(".tab .card button:text-is('Run') >> nth=0")
        self.wait()

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """The rows of an answer of the page's engine."""
        return self.page.evaluate("async (sql) => (await sigdb.app.ask(sql)).rows", sql)

    def table(self, place: int = 0) -> list[dict[str, str]]:
        """A table that the page shows: exact values as text, by column."""
        return self.page.evaluate(
            """(place) => {
                const table = document.querySelectorAll('.tab table')[place];
                const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
                return [...table.tBodies[0].rows].map((row) =>
                    Object.fromEntries([...row.cells].map((cell, n) => [names[n], cell.title || cell.textContent])));
            }""",
            place,
        )

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


@pytest.fixture(scope="session")
def playwright():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test-web")
    with api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session", params=list(BROWSERS))
def any_browser(request, playwright):
    yield from launched(playwright, request.param)


@pytest.fixture(scope="session")
def chromium(playwright):
    yield from launched(playwright, "chromium")


def launched(playwright: Any, kind: str) -> Iterator[Any]:
    names, options = BROWSERS[kind]
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"there is no {kind}")
    browser = getattr(playwright, kind).launch(executable_path=path, **options)
    yield browser
    browser.close()


@contextmanager
def opened(browser: Any, **options: Any) -> Iterator[Opened]:
    """A page with nothing in its memory."""
    if browser.browser_type.name == "firefox":  # its protocol does not know these
        options |= dict.fromkeys(("color_scheme", "reduced_motion", "forced_colors"), "null")
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, "accept_downloads": True} | options)
    try:
        context.set_default_timeout(20_000)
        yield Opened(context.new_page())
    finally:
        context.close()


@pytest.fixture
def page(chromium):
    with opened(chromium) as page:
        yield page


@pytest.fixture(scope="session")
def site(tmp_path_factory, demo_path) -> Path:
    """The page with the demo atlas, as `sigdb page` writes it."""
    from sigdb.explorer.pages import write_page

    folder = tmp_path_factory.mktemp("site")
    shutil.copy(demo_path, folder.parent / "demo.duckdb")
    write_page(folder, folder.parent / "demo.duckdb")
    return folder


@pytest.fixture(scope="session")
def embedded(demo_path, tmp_path_factory) -> Path:
    """The demo atlas with an embedding of one study, in which cells with a high attribution of LYZ are on the right."""
    from sigdb.atlas import views

    path = tmp_path_factory.mktemp("embedded") / "embedded.duckdb"
    shutil.copy(demo_path, path)
    rng = np.random.default_rng(0)
    with sigdb.Atlas(path) as atlas, atlas.transaction() as con:
        rows = con.execute(
            "SELECT c.cell_id, coalesce(s.score, 0) FROM cells AS c LEFT JOIN gene_attributions(['LYZ']) AS s "
            "ON c.cell_id = s.cell_id WHERE c.study = ? ORDER BY c.cell_id",
            [EMBEDDED],
        ).fetchall()
        for name in ("umap_1", "umap_2"):
            con.execute(f"ALTER TABLE sigdb_data.cell_data ADD COLUMN {name} FLOAT")
        places = [(np.sqrt(score) + rng.normal(), rng.normal(), cell) for cell, score in rows]
        con.executemany("UPDATE sigdb_data.cell_data SET umap_1 = ?, umap_2 = ? WHERE cell_id = ?", places)
        views.show_columns(con)
    return path


@pytest.fixture(scope="session")
def embedded_site(embedded, tmp_path_factory) -> Path:
    """The page with this atlas."""
    from sigdb.explorer.pages import write_page

    folder = tmp_path_factory.mktemp("cells")
    write_page(folder, embedded)
    return folder


@pytest.fixture
def embedded_host(embedded_site) -> Iterator[Host]:
    with serve(embedded_site) as host:
        yield host


@pytest.fixture(scope="session")
def con(demo_path):
    with sigdb.connect(demo_path) as con:
        yield con


@pytest.fixture(scope="module", params=["wasm", "server"])
def address(request, site, demo_path) -> Iterator[str]:
    """The address of a page with the demo atlas, by each engine."""
    if request.param == "wasm":
        with serve(site) as host:
            yield host.address
    else:
        yield from local_server(demo_path)


def local_server(atlas: Path) -> Iterator[str]:
    """The address of `sigdb explore`."""
    yield from running("explore", str(atlas), "--no-browser")


def running(*arguments: str) -> Iterator[str]:
    """The address that a command of sigdb prints. The command ends on Ctrl-C."""
    command = [sys.executable, "-m", "sigdb", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        yield re.search(r"http://[\w.:]+", process.stdout.readline())[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        process.wait(20)


@pytest.fixture
def host(site) -> Iterator[Host]:
    with serve(site) as host:
        yield host


@pytest.fixture(scope="session")
def call_node() -> Iterator[Callable[..., Any]]:
    """Call a function of a module of the page in Node: call_node("state.js", "readHash", text)."""
    if not (ROOT / "sigdb" / "explorer" / "page" / "node_modules").is_dir():
        pytest.skip("the packages of the page are not installed: make explorer")
    command = [shutil.which("node") or pytest.skip("there is no node"), str(ROOT / "tests" / "web" / "node.mjs")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def call(*words: Any) -> Any:
        process.stdin.write(json.dumps(words) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer.get("value")

    yield call
    process.stdin.close()
    process.stdout.close()
    process.wait()
