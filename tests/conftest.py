from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import sigdb
from tests.toy import make_toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb


@pytest.fixture(scope="session")
def toy_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy atlas of tests/toy.py, read-only by agreement."""
    return make_toy(tmp_path_factory.mktemp("toy") / "toy.duckdb")


@pytest.fixture
def toy(toy_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the toy atlas."""
    with sigdb.connect(toy_path) as con:
        yield con


@pytest.fixture(scope="session")
def demo_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo atlas, built from the bundled studies; read-only by agreement."""
    from ingest.demo import build_demo

    path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    build_demo(path, lambda study, done, total: None)
    return path
