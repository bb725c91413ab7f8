"""Take the pictures of docs/guides/explorer.md: `.venv-web/bin/python -m docs.explorer_pictures demo.duckdb`.

It needs the built page (`make explorer`) and Chromium. The demo has no embedding, so the tab of cells is left out.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from sigdb.explorer.pages import write_page
from tests.web.host import serve

FOLDER = Path(__file__).parent / "images" / "explorer"
COUNT = "SELECT study, cell_type, count(*) AS n_cells\nFROM cells\nGROUP BY ALL\nORDER BY n_cells DESC\nLIMIT 8"
MS1 = {"s": "@MS1"}
PAIRED = {"pairs": "donor", "min_cells": "3"}
MONOCYTE = {"s": "LYZ CD14 FCN1 AIF1"}
# Picture -> the state of the page in its address.
PICTURES = {
    "atlas": {"tab": "atlas"},
    "scores": MS1 | {"tab": "scores"},
    "distributions": MS1 | {"tab": "distributions"},
    "hits": MS1 | {"tab": "hits", "by": "study", "min_cells": "10", "min_samples": "1"},
    "compare": {"s": "CD3D CD3E", "tab": "compare", "by": "tissue", "reference": "normal adjacent"} | PAIRED,
    "leading": MONOCYTE | {"tab": "leading"},
    "null": MONOCYTE | {"tab": "null"},
    "genes": MONOCYTE | {"tab": "gene"},
    "top": {"tab": "top", "cell_type": "CD14+ Monocyte"},
    "sql": {"tab": "sql", "sql": COUNT},
    "runs-dark": {"tab": "runs"},
    "phone": MS1 | {"tab": "scores"},
}
COLOURS = 128  # of a picture, which keeps it small


def take(browser: Browser, address: str, name: str) -> bytes:
    """The page at an address, as a PNG."""
    size = {"width": 390 if name == "phone" else 1400, "height": 900}
    context = browser.new_context(viewport=size, color_scheme="dark" if "dark" in name else "light")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#panel[aria-busy=false]", timeout=120_000)
    if name == "sql":  # a statement of a link waits
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_selector("#panel table", timeout=120_000)
    page.wait_for_timeout(500)
    picture = page.screenshot(clip={"x": 0, "y": 0, "width": size["width"], "height": 900}, full_page=True)
    context.close()
    return picture


def main(atlas: str) -> None:
    """Take all pictures of an atlas."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_page(Path(folder) / "page", atlas)
        with serve(Path(folder) / "page") as host:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for name, state in PICTURES.items():
                taken = take(browser, f"{host.address}/#{urlencode(state)}", name)
                Image.open(io.BytesIO(taken)).quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
