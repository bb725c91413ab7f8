"""Ingest into a lake with Apache Spark stores the same rows as one machine."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import sigdb
from ingest.options import Method, Source
from ingest.spark import driver
from sigdb.atlas.verify import verify
from sigdb.cli import app
from sigdb.errors import AtlasError, CountsError, SparkError, StudyExistsError
from sigdb.lake.grow import growing_lake
from tests.ingest.conftest import small_adata
from tests.ingest.spark.conftest import (
    NEEDS_JAVA,
    assert_same,
    chunks,
    in_atlas,
    in_lake,
    small_study,
)
from tests.support.formats import WRITERS

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-cluster")
pytestmark = NEEDS_JAVA


def test_a_lake_holds_what_an_atlas_holds(session, tmp_path, model):
    """Matrices by cells and by genes, and a second run. The lake passes `verify`, and can be imported."""
    sources = [
        small_study(tmp_path, "first"),
        small_study(tmp_path, "second", seed=1, write=WRITERS["mtx by genes"]),
        small_study(tmp_path, "third", seed=2, n_cells=9, write=WRITERS["zarr 3 csr"]),
    ]
    told = []
    for method in (Method(), Method("ixg")):
        progress = lambda *what: told.append(what)  # noqa: E731
        reports = in_lake(session, tmp_path / "lake", sources, model, method=method, progress=progress)
        expected = in_atlas(tmp_path / "a.duckdb", sources, model, method=method)
        assert [(r.study, r.n_cells, r.n_scores, r.median_delta) for r in reports] == [
            (r.study, r.n_cells, r.n_scores, r.median_delta) for r in expected
        ]
    assert [what for what in told if what[1] in (0, what[2])] == [
        (name, done, n) for name, n in (("first", 40), ("second", 40), ("third", 9)) for done in (0, n)
    ] * 2
    assert_same(tmp_path / "lake", tmp_path / "a.duckdb")
    assert not (tmp_path / "lake.ingest").exists()
    with sigdb.connect(tmp_path / "lake") as con, sigdb.connect(tmp_path / "a.duckdb") as other:
        assert not [each for each in verify(con) if each.n]
        query = "FROM signature_score(['LYZ', 'CD3D'], run := 1) ORDER BY cell_id"
        assert con.execute(query).fetchall() == other.execute(query).fetchall()
    sigdb.import_lake(tmp_path / "lake", tmp_path / "imported.duckdb")
    assert_same(tmp_path / "imported.duckdb", tmp_path / "a.duckdb")


def test_an_export_that_grows_is_independent_of_its_atlas(session, tmp_path, model):
    """Materialised scores grow too. The atlas lacks the new study, so it cannot be exported over the lake."""
    first, second = small_study(tmp_path, "first"), small_study(tmp_path, "second", seed=1)
    in_atlas(tmp_path / "a.duckdb", [first], model)
    with sigdb.Atlas(tmp_path / "a.duckdb") as atlas:
        atlas.add_signatures([sigdb.Signature("MYELOID", ("LYZ", "CD14"), (1.0, 2.0))])
        atlas.materialize(["MYELOID"])
    sigdb.export_lake(tmp_path / "a.duckdb", tmp_path / "lake", genes_per_bucket=8)
    shutil.copy(tmp_path / "a.duckdb", tmp_path / "both.duckdb")
    in_lake(session, tmp_path / "lake", [second], model)
    in_atlas(tmp_path / "both.duckdb", [second], model)
    assert_same(tmp_path / "lake", tmp_path / "both.duckdb")
    before = (tmp_path / "lake" / "manifest.json").read_text()
    with pytest.raises(AtlasError, match=r"Studies were added to the lake .* itself, and .* may lack them"):
        sigdb.export_lake(tmp_path / "a.duckdb", tmp_path / "lake")
    assert (tmp_path / "lake" / "manifest.json").read_text() == before


def files_of(lake, table):
    manifest = json.loads((lake / "manifest.json").read_text())
    return [file for file in manifest["files"] if file["table"] == table]


def test_many_small_files_are_merged(session, tmp_path, model, monkeypatch):
    monkeypatch.setattr(driver, "MOST_SIMILAR_FILES", 2)
    sources = [small_study(tmp_path, f"study{n}", seed=n, n_cells=10) for n in range(4)]
    counts = []
    for source in sources:
        in_lake(session, tmp_path / "lake", [source], model)
        counts.append([len(files_of(tmp_path / "lake", table)) for table in ("attributions", "attribution_summary")])
    assert counts == [[1, 1], [2, 2], [1, 1], [2, 2]]
    in_atlas(tmp_path / "a.duckdb", sources, model)
    assert_same(tmp_path / "lake", tmp_path / "a.duckdb")
    on_disk = {str(path.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake").rglob("*.parquet")}
    named = json.loads((tmp_path / "lake" / "manifest.json").read_text())["files"]
    assert on_disk == {file["path"] for file in named}
    for file in files_of(tmp_path / "lake", "attributions"):
        rows = pq.read_table(tmp_path / "lake" / file["path"]).select(["gene_id", "cell_id"]).to_pylist()
        assert rows == sorted(rows, key=lambda row: (row["gene_id"], row["cell_id"]))


def test_the_number_of_files_of_sums_follows_the_sums(session, tmp_path, model, monkeypatch):
    """There are few sums per gene, no matter how many scores are added up."""
    monkeypatch.setattr(driver, "FILE_ROWS", 500)
    (report,) = in_lake(session, tmp_path / "lake", [small_study(tmp_path, "first", n_cells=60)], model)
    (file,) = files_of(tmp_path / "lake", "attribution_summary")
    assert file["rows"] < 500 < report.n_scores


def test_a_study_in_the_lake_is_refused_or_skipped(session, tmp_path, model):
    study = small_study(tmp_path, "first", n_cells=10)
    in_lake(session, tmp_path / "lake", [study], model)
    before = (tmp_path / "lake" / "manifest.json").read_text()
    with pytest.raises(StudyExistsError, match="Study 'first' is in the atlas already"):
        in_lake(session, tmp_path / "lake", [study], model)
    assert in_lake(session, tmp_path / "lake", [study], model, if_exists="skip") == []
    with pytest.raises(AtlasError, match="A study of a lake cannot be replaced"):
        in_lake(session, tmp_path / "lake", [study], model, if_exists="replace")
    assert (tmp_path / "lake" / "manifest.json").read_text() == before


@pytest.mark.parametrize("is_new", [True, False], ids=["new lake", "lake that was there"])
def test_values_that_are_not_counts_stop_all_tasks(session, tmp_path, model, is_new):
    """The message is the same as on one machine, and nothing of the study remains."""
    if not is_new:
        in_lake(session, tmp_path / "lake", [small_study(tmp_path, "first", n_cells=10)], model)
        before = (tmp_path / "lake" / "manifest.json").read_text()
    adata = small_adata(60, 1)
    adata.X[59, 3] = -2
    adata.write_h5ad(tmp_path / "bad.h5ad")
    with pytest.raises(CountsError, match=r"negative values, down to -2 .* in cells 56 to 59"):
        in_lake(session, tmp_path / "lake", [Source(tmp_path / "bad.h5ad")], model, layer="X")
    assert not (tmp_path / "lake.ingest").exists()
    if is_new:
        assert not (tmp_path / "lake").exists()
    else:
        assert (tmp_path / "lake" / "manifest.json").read_text() == before


def test_studies_cannot_be_added_to_other_folders_or_buckets(session, tmp_path, model):
    study = small_study(tmp_path, "first", n_cells=10)
    with pytest.raises(AtlasError, match=r"not a folder\. Studies can be added only to a lake in a folder"):
        in_lake(session, "s3://bucket/lake", [study], model)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(AtlasError, match=r"is not a lake, and it is not empty: it contains notes\.txt"):
        in_lake(session, tmp_path / "other", [study], model)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    in_lake(session, tmp_path / "lake", [study], model)
    with pytest.raises(
        AtlasError, match=r"hold 256 genes each\. Adding studies cannot change that to `genes_per_bucket=8`"
    ):
        driver.ingest_into_lake(session, tmp_path / "lake", [study], model, genes_per_bucket=8)


@pytest.fixture
def nearly_done(session, tmp_path, model, monkeypatch):
    """A study of five chunks that failed; all chunks but one are kept."""
    source = small_study(tmp_path, "first")
    with monkeypatch.context() as patch:
        patch.setattr(driver.SparkEngine, "store_scores", lambda *what: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            in_lake(session, tmp_path / "lake", [source], model)
    (last,) = tmp_path.glob("lake.ingest/*/chunk-4")
    shutil.rmtree(last)
    return source


UNREADABLE = {
    "gone": (
        lambda path, moved: None,
        SparkError,
        r"could not be read: No such file or directory\. The lake is as it was",
    ),
    "cut off": (lambda path, moved: path.write_bytes(moved.read_bytes()[:-500]), CountsError, "truncated file"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_machine_that_cannot_read_the_file(session, tmp_path, model, nearly_done, case):
    """Chunks are kept, the lake is unchanged, and the same call continues once the file can be read."""
    spoil, kind, text = UNREADABLE[case]
    path, moved, kept = nearly_done.path, tmp_path / "elsewhere.h5ad", chunks(tmp_path)
    assert len(kept) == 4

    def progress(study, done, total):
        if done == 32 and not moved.exists():
            path.rename(moved)  # the driver has it open; tasks open it again
            spoil(path, moved)

    with pytest.raises(kind, match=text):
        in_lake(session, tmp_path / "lake", [nearly_done], model, progress=progress)
    assert chunks(tmp_path) == kept
    assert not (tmp_path / "lake").exists()
    moved.rename(path)
    told = []
    in_lake(session, tmp_path / "lake", [nearly_done], model, progress=lambda *what: told.append(what))
    assert told[0] == ("first", 32, 40)
    in_atlas(tmp_path / "a.duckdb", [nearly_done], model)
    assert_same(tmp_path / "lake", tmp_path / "a.duckdb")


def test_a_file_that_can_be_read_again_soon(session, tmp_path, model, nearly_done):
    """Spark retries the task, and the study is stored."""
    path, moved = nearly_done.path, tmp_path / "elsewhere.h5ad"

    def progress(study, done, total):
        if done == 32:
            path.rename(moved)
            Timer(2, moved.rename, [path]).start()  # a mount that comes back

    in_lake(session, tmp_path / "lake", [nearly_done], model, progress=progress)
    in_atlas(tmp_path / "a.duckdb", [nearly_done], model)
    assert_same(tmp_path / "lake", tmp_path / "a.duckdb")


def test_an_error_cancels_its_own_job_only(session, tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "LOOK_EVERY", 0.1)
    slow = session.range(0, 1, 1, 1).selectExpr("java_method('java.lang.Thread', 'sleep', 6000L)")
    tracker = session.sparkContext.statusTracker()

    def n_jobs():
        return len(tracker.getActiveJobsIds())

    with growing_lake(tmp_path / "lake") as lake, ThreadPoolExecutor(1) as pool:
        engine = driver.SparkEngine(session, lake, tmp_path)
        others = pool.submit(slow.collect)
        with pytest.raises(ZeroDivisionError):
            engine.run_watched(slow.collect, lambda: n_jobs() == 2 and 1 / 0)
        assert n_jobs() == 1
        assert len(others.result()) == 1


def test_a_lake_in_the_working_directory(tmp_path, small_model, monkeypatch):
    """The lake is ".", a path without a name."""
    source = small_study(tmp_path, "first")
    (tmp_path / "lake").mkdir()
    monkeypatch.chdir(tmp_path / "lake")
    monkeypatch.setattr(driver, "spark_session", lambda *what: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(driver, "ingest_into_lake", lambda *what, **options: [])
    words = ["ingest-spark", ".", str(source.path), "--model", "mlp", "--weights", str(small_model)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
