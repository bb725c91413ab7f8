from __future__ import annotations

import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

import sigdb
from sigdb.atlas.derived import rebuild_importance
from tests.support.lakes import StandIns, stand_ins, thorough
from tests.support.prebuilt import copy_prebuilt
from tests.support.queries import QUERIES
from tests.support.toy import copy_toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--atlas-as",
        choices=["file", "lake"],
        default="file",
        help="What sigdb.connect opens for reading in tests: the atlas file, or a lake exported from it.",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="Run the tests marked slow too, and try all examples of property tests.",
    )


def pytest_configure(config: pytest.Config) -> None:
    # During a test run, the files of lakes are cached outside the home folder.
    cache = tempfile.TemporaryDirectory(prefix="sigdb-cache-")
    os.environ["SIGDB_CACHE_DIR"] = cache.name
    config.add_cleanup(cache.cleanup)
    # Set this before torch is imported. Otherwise its threads wait by spinning, on cores that other workers need.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    config.addinivalue_line("markers", "slow: takes many seconds; runs with --thorough only.")
    if config.getoption("thorough"):
        thorough.append(True)
    config.addinivalue_line("markers", "file_only(reason): a test of what only an atlas file does, not a lake.")
    if config.getoption("atlas_as") == "lake":
        stand_ins.append(StandIns())
        sigdb.connect = stand_ins[0].connect
        config.add_cleanup(lambda: shutil.rmtree(stand_ins[0].root))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("thorough"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    if config.getoption("atlas_as") == "lake":
        for item in items:
            if marker := item.get_closest_marker("file_only"):
                item.add_marker(pytest.mark.skip(reason=marker.args[0]))


@pytest.fixture(scope="session")
def toy_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy atlas of `tests.support.toy`, read-only by agreement."""
    return copy_toy(tmp_path_factory.mktemp("toy") / "toy.duckdb")


@pytest.fixture
def toy(toy_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the toy atlas."""
    with sigdb.connect(toy_path) as con:
        yield con


@pytest.fixture(scope="session")
def demo_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo atlas, built from the bundled attributions; read-only by agreement."""
    return copy_prebuilt("demo.duckdb", make_demo, tmp_path_factory.mktemp("demo") / "demo.duckdb")


def make_demo(path: Path) -> None:
    from ingest.demo import build_demo

    build_demo(path)


@pytest.fixture(scope="session")
def two_runs_path(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo atlas of every 20th gene and the genes that tests name, with MS1 materialised and a second run, `half`.

    The scores of the second run are half of the scores of the first. Read-only by agreement.
    """
    path = tmp_path_factory.mktemp("two") / "two.duckdb"
    return copy_prebuilt("two.duckdb", lambda made: halve_demo(demo_path, made), path)


def halve_demo(demo_path: Path, path: Path) -> None:
    shutil.copy(demo_path, path)
    with sigdb.Atlas(path) as atlas:
        with atlas.transaction() as con:
            keep_few_genes(con)
            add_half_run(con)
            rebuild_importance(con)
        atlas.materialize(["MS1"], missing="ignore")


def keep_few_genes(con: duckdb.DuckDBPyConnection) -> None:
    """Delete all genes but every 20th, the genes of MS1 and the genes that the shared queries name."""
    named = sorted(set(re.findall(r"[A-Z0-9]{2,}", " ".join(QUERIES.values()).upper())))
    kept = """
        SELECT gene_id FROM sigdb_data.genes WHERE gene_id % 20 = 0 OR list_contains($named, symbol)
        UNION SELECT n.gene_id FROM sigdb_data.gene_names AS n JOIN sigdb_data.signatures AS s ON n.name = s.gene
        WHERE s.signature = 'MS1'
    """
    for table in ("attributions", "attribution_summary", "gene_names", "model_genes", "study_genes", "genes"):
        con.execute(f"DELETE FROM sigdb_data.{table} WHERE gene_id NOT IN ({kept})", {"named": named})


def add_half_run(con: duckdb.DuckDBPyConnection) -> None:
    """Add the run `half`: a copy of the first run with half its scores."""
    changes = {
        "attribution_runs": "run_id + 1 AS run_id, 'half' AS run",
        "attributions": "run_id + 1 AS run_id, score / 2 AS score",
        "attributed_cells": "run_id + 1 AS run_id",
        "attribution_summary": "run_id + 1 AS run_id, sum_abs / 2 AS sum_abs, sum_signed / 2 AS sum_signed",
        "group_sizes": "run_id + 1 AS run_id",
    }
    for table, changed in changes.items():
        con.execute(f"INSERT INTO sigdb_data.{table} SELECT * REPLACE ({changed}) FROM sigdb_data.{table}")
