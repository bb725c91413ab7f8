"""Take the pictures of the explorer page, for the guides explorer.md and explorer-large.md.

    .venv-web/bin/python -m docs.explorer_pictures demo.duckdb
    .venv-web/bin/python -m docs.explorer_pictures --large build/copies.duckdb

It needs the built page (`make explorer`) and Chromium. The demo has no embedding, so the tab of cells is left out. The
large atlas is one of 200,000 cells by `benchmarks.copies`; the script prints how long each tab took, in three tries.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from sigdb.explorer.pages import write_page
from tests.web.conftest import running
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
# A lasso around two clouds of cells, and what follows it.
LASSO = {"basis": "umap", "embedded": "zheng2017_pbmc68k", "lasso": "-4,-11,2,-11,2,-4.5,-4,-4.5"}
LARGE = {
    "atlas": {"tab": "atlas"},
    "scores": MONOCYTE | {"tab": "scores"},
    "cells": MONOCYTE | {"tab": "cells"},
    "lasso": MONOCYTE | LASSO | {"tab": "cells", "special": "1"},
    "distributions": MONOCYTE | {"tab": "distributions"},
    "hits": MONOCYTE | {"tab": "hits", "by": "study"},
    "compare": PICTURES["compare"] | {"min_cells": "10"},
    "leading": MONOCYTE | {"tab": "leading"},
    "null": MONOCYTE | {"tab": "null"},
    "genes": MONOCYTE | {"tab": "gene"},
    "top": LASSO | {"tab": "top"},
    "sql": {"tab": "sql", "sql": COUNT},
    "runs": {"tab": "runs"},
}
COLOURS = 128  # of a picture, which keeps it small
TRIES = 3


def take(browser: Browser, address: str, name: str) -> tuple[bytes, float]:
    """The page at an address as a PNG, and the seconds until all questions of its tab were answered."""
    size = {"width": 390 if name == "phone" else 1400, "height": 900}
    context = browser.new_context(viewport=size, color_scheme="dark" if "dark" in name else "light")
    page = context.new_page()
    started = time.monotonic()
    page.goto(address)
    page.wait_for_selector("#panel[aria-busy=false]", timeout=120_000)
    seconds = time.monotonic() - started
    page.wait_for_selector(".filter")
    if name == "sql":  # a statement of a link waits
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_selector("#panel table", timeout=120_000)
    page.wait_for_timeout(500)
    picture = page.screenshot(clip={"x": 0, "y": 0, "width": size["width"], "height": 900}, full_page=True)
    context.close()
    return picture, seconds


def keep(picture: bytes, path: Path) -> None:
    """Write a picture with few colours, also those of few pixels."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def take_demo(browser: Browser, atlas: Path) -> None:
    """Take the pictures of an atlas as its readers see them on a web host."""
    with TemporaryDirectory() as folder:
        write_page(Path(folder) / "page", atlas)
        with serve(Path(folder) / "page") as host:
            for name, state in PICTURES.items():
                keep(take(browser, f"{host.address}/#{urlencode(state)}", name)[0], FOLDER / f"{name}.png")


def take_large(browser: Browser, atlas: Path) -> None:
    """Take the pictures of a large atlas by `sigdb explore`, and print the times."""
    for address in running("explore", str(atlas), "--no-browser"):
        for name, state in LARGE.items():
            taken = [take(browser, f"{address}/#{urlencode(state)}", name) for _ in range(TRIES)]
            keep(taken[-1][0], FOLDER / "large" / f"{name}.png")
            sys.stdout.write(f"{name}: {', '.join(f'{seconds:.1f}' for _, seconds in taken)} s\n")


def main() -> None:
    """Take all pictures of an atlas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--large", action="store_true", help="the atlas is a large one, for explorer-large.md")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        (take_large if options.large else take_demo)(browser, options.atlas)
        browser.close()


if __name__ == "__main__":
    main()
