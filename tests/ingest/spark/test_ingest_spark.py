"""Ingest into a lake with Apache Spark stores the same rows as one machine, even if processes are killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import sigdb
from ingest import pipeline
from ingest.models import load_model
from ingest.options import Compute, IngestOptions, Method, Source
from ingest.pipeline import ingest_files
from sigdb.atlas.verify import verify
from sigdb.cli import app
from sigdb.errors import AtlasError, CountsError, SparkError, StudyExistsError
from sigdb.lake.grow import growing_lake
from tests.ingest.conftest import contents, small_adata
from tests.support import ROOT
from tests.support.formats import WRITERS

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-cluster")
from ingest.spark import driver as on_spark

pytestmark = [
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
    spark = on_spark.spark_session(MASTER, SETTINGS)
    spark.sparkContext.setLogLevel("OFF")
    yield spark
    spark.stop()


@pytest.fixture
def model(small_model):
    return load_model("mlp", small_model)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)


def small_study(folder, name, seed=0, n_cells=40, write=WRITERS["h5ad csr"]):
    return Source(write(small_adata(n_cells, seed), folder / name), name)


def assert_same(lake, atlas):
    """All tables are equal, row for row. Sums may differ in the last digits: the order of addition differs."""
    found, expected = contents(lake), contents(atlas)
    assert found.keys() == expected.keys()
    for table in expected:
        if table not in ("attribution_summary", "signature_cells"):
            assert found[table] == expected[table], table
            continue
        for row, other in zip(found[table], expected[table], strict=True):
            sums = [[value for value in each if isinstance(value, float)] for each in (row, other)]
            assert sums[0] == pytest.approx(sums[1], rel=1e-12), table
            assert [v for v in row if not isinstance(v, float)] == [v for v in other if not isinstance(v, float)], table


def in_lake(session, lake, sources, model, **options):
    return on_spark.ingest_into_lake(session, lake, sources, model, IngestOptions(compute=THERE, **options))


def in_atlas(atlas, sources, model, **options):
    return ingest_files(atlas, sources, model, IngestOptions(compute=HERE, **options))


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
    with pytest.raises(AtlasError, match=r"`sigdb ingest-spark` has added studies to, which .* may not have"):
        sigdb.export_lake(tmp_path / "a.duckdb", tmp_path / "lake")
    assert (tmp_path / "lake" / "manifest.json").read_text() == before


def files_of(lake, table):
    manifest = json.loads((lake / "manifest.json").read_text())
    return [file for file in manifest["files"] if file["table"] == table]


def test_many_small_files_are_merged(session, tmp_path, model, monkeypatch):
    monkeypatch.setattr(on_spark, "MOST_LIKE_FILES", 2)
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
    monkeypatch.setattr(on_spark, "FILE_ROWS", 500)
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
    with pytest.raises(AtlasError, match=r"not a folder\. Studies are added to a lake in a folder that all machines"):
        in_lake(session, "s3://bucket/lake", [study], model)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(AtlasError, match="is not empty, and not a lake"):
        in_lake(session, tmp_path / "other", [study], model)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    in_lake(session, tmp_path / "lake", [study], model)
    with pytest.raises(AtlasError, match=r"hold 256 genes each, which cannot be changed to 8"):
        on_spark.ingest_into_lake(session, tmp_path / "lake", [study], model, genes_per_bucket=8)


@pytest.fixture
def nearly_done(session, tmp_path, model, monkeypatch):
    """A study of five chunks that failed; all chunks but one are kept."""
    source = small_study(tmp_path, "first")
    with monkeypatch.context() as patch:
        patch.setattr(on_spark.SparkEngine, "store_scores", lambda *what: 1 / 0)
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
    monkeypatch.setattr(on_spark, "LOOK_EVERY", 0.1)
    slow = session.range(0, 1, 1, 1).selectExpr("java_method('java.lang.Thread', 'sleep', 6000L)")
    tracker = session.sparkContext.statusTracker()

    def n_jobs():
        return len(tracker.getActiveJobsIds())

    with growing_lake(tmp_path / "lake") as lake, ThreadPoolExecutor(1) as pool:
        engine = on_spark.SparkEngine(session, lake, tmp_path)
        others = pool.submit(slow.collect)
        with pytest.raises(ZeroDivisionError):
            engine.run_watched(slow.collect, lambda: n_jobs() == 2 and 1 / 0)
        assert n_jobs() == 1
        assert len(others.result()) == 1


@pytest.mark.parametrize("master", ["local[x]", "nonsense"])
def test_a_master_that_does_not_exist(master):
    code = f"from ingest.spark.driver import spark_session; spark_session({master!r}, {SETTINGS!r})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    said = done.stderr.strip().splitlines()[-1]
    assert re.search(r"SparkError: Spark does not start: .*(x|nonsense).*\. The master was \S+\.$", said), said
    assert f"The master was {master}." in said
    assert "Java 17" not in said


def test_no_java(tmp_path):
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    code = "from ingest.spark.driver import spark_session; spark_session('local[1]')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr.strip().endswith("It needs Java 17 or newer.")


def test_a_lake_in_the_working_directory(tmp_path, small_model, monkeypatch):
    """Its path "." has no name."""
    source = small_study(tmp_path, "first")
    (tmp_path / "lake").mkdir()
    monkeypatch.chdir(tmp_path / "lake")
    monkeypatch.setattr(on_spark, "spark_session", lambda *what: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(on_spark, "ingest_into_lake", lambda *what, **options: [])
    words = ["ingest-spark", ".", str(source.path), "--model", "mlp", "--weights", str(small_model)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0


# The command line, with small chunks.
COMMAND = f"from ingest import pipeline; pipeline.CHUNK_CELLS = {CHUNK_CELLS}; from sigdb.cli import main; main()"
SLOW = Method(n_steps=6000, quadrature="riemann_middle")
N_CHUNKS = 20


@contextmanager
def started(folder, weights):
    """Run `sigdb ingest-spark` in its own session of processes, which the end of the block kills."""
    conf = [word for setting in SETTINGS.items() for word in ("--conf", "=".join(setting))]
    method = ["--steps", str(SLOW.n_steps), "--quadrature", SLOW.quadrature]
    words = ["ingest-spark", "lake", "slow.h5ad", "--model", "mlp", "--weights", str(weights), "--master", MASTER]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words, *method, "--batch-size", "8", *conf],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def chunks(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("lake.ingest/*/chunk-*")}


def wait_for_chunks(folder, process, n):
    deadline = time.monotonic() + 180
    while len(chunks(folder)) < n:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def python_workers(session):
    """The Python processes in a session of processes that attribute: the ones that Spark's daemon forked."""
    daemons, found = set(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session and b"pyspark.daemon" in (folder / "cmdline").read_bytes():
                found.append((int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])))
                daemons.add(int(folder.name))
        except (OSError, ProcessLookupError):
            continue
    return [pid for pid, parent in found if parent in daemons]


@pytest.fixture
def slow(tmp_path, small_model):
    """A folder with a study of N_CHUNKS slow chunks, and an atlas of the same study."""
    source = small_study(tmp_path, "slow", n_cells=N_CHUNKS * CHUNK_CELLS)
    in_atlas(tmp_path / "a.duckdb", [source], load_model("mlp", small_model), method=SLOW)
    return tmp_path


def test_workers_that_are_killed_are_replaced(slow, small_model):
    """All workers are killed, since one alone may be idle at that moment."""
    with started(slow, small_model) as process:
        wait_for_chunks(slow, process, 3)
        workers = python_workers(process.pid)
        assert workers
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    assert "Python worker exited unexpectedly" in output
    assert_same(slow / "lake", slow / "a.duckdb")


def test_a_driver_that_is_killed_can_be_restarted(slow, small_model):
    with started(slow, small_model) as process:
        wait_for_chunks(slow, process, 3)
    left = chunks(slow)
    assert 3 <= len(left) < N_CHUNKS
    with pytest.raises(AtlasError, match="an unfinished lake"):
        sigdb.connect(slow / "lake")
    with started(slow, small_model) as process:
        wait_for_chunks(slow, process, len(left) + 1)
        assert left.items() <= chunks(slow).items()
        output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    assert_same(slow / "lake", slow / "a.duckdb")
