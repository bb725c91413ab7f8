"""A stand-in for the built page, so that these tests need no npm."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

import pytest

from sigdb.explorer import pages
from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "style.css": "body { color: red }",
    "app.js": 'window.page = "</script><script>alert(1)</script>";',
    "catalog.json": '{"version": "1", "statements": {"x": {"sql": "</script>", "parameters": []}}, "specs": {}}',
    "duckdb.worker.js": 'self.text = "</ScRipt>";',
    "LICENSES.txt": "MIT",
}


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write small files with the names of the page's, and have the package read them."""
    (folder / "explorer").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / "explorer" / name).write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "sigdb" / "explorer" / "page" / "index.html", folder / "explorer")
    (folder / "explorer" / "duckdb.wasm.gz").write_bytes(gzip.compress(b"\0asm"))
    (folder / "vega").mkdir()
    for name in ("vega.js", "LICENSES.txt"):
        (folder / "vega" / name).write_text("// Vega", encoding="utf-8")
    monkeypatch.setattr(pages, "data_folder", lambda: folder)
    return folder / "explorer"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in(tmp_path / "data", monkeypatch)
