"""Small studies, added to a lake with Spark and to an atlas on this machine."""

from __future__ import annotations

import shutil

import pytest

from ingest import pipeline
from ingest.options import Compute, IngestOptions, Source
from ingest.pipeline import ingest_files
from ingest.spark import driver
from tests.ingest.conftest import contents, small_adata
from tests.support.formats import WRITERS

NEEDS_JAVA = [
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17 or newer, and there is none"),
    pytest.mark.filterwarnings("default"),
]
CHUNK_CELLS = 8
SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}
# The same threads and batches on both sides, so that results are equal bit for bit.
HERE = Compute(device="cpu", threads=1, batch_size=8)
THERE = Compute(device="cpu", batch_size=8, is_remote=True)
MASTER = "local[2,4]"


@pytest.fixture(scope="module")
def session():
    spark = driver.spark_session(MASTER, SETTINGS)
    spark.sparkContext.setLogLevel("OFF")
    yield spark
    spark.stop()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)


def small_study(folder, name, seed=0, n_cells=40, write=WRITERS["h5ad csr"]):
    return Source(write(small_adata(n_cells, seed), folder / name), name)


def assert_same(lake, atlas):
    """All tables are equal, row for row. Sums may differ in the last digits, because the order of addition differs."""
    found, expected = contents(lake), contents(atlas)
    assert found.keys() == expected.keys()
    for table in expected:
        if table not in ("attribution_summary", "importance_sums", "signature_cells"):
            assert found[table] == expected[table], table
            continue
        for row, other in zip(found[table], expected[table], strict=True):
            sums = [[value for value in each if isinstance(value, float)] for each in (row, other)]
            assert sums[0] == pytest.approx(sums[1], rel=1e-12), table
            assert [v for v in row if not isinstance(v, float)] == [v for v in other if not isinstance(v, float)], table


def in_lake(session, lake, sources, model, **options):
    return driver.ingest_into_lake(session, lake, sources, model, IngestOptions(compute=THERE, **options))


def in_atlas(atlas, sources, model, **options):
    return ingest_files(atlas, sources, model, IngestOptions(compute=HERE, **options))


def chunks(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("lake.ingest/*/chunk-*")}
