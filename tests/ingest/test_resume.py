"""Ingest that is stopped: the atlas holds whole studies at every moment, and the same command goes on where it was."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import resource
import signal
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy.sparse import csc_matrix

import sigdb
from ingest import pipeline
from ingest.counts.matrix import RowReader
from ingest.models import load_model
from ingest.options import Compute, IngestOptions, Method, Source
from ingest.pipeline import ingest_files
from ingest.store import chunks, writer
from ingest.store import study as store_study
from ingest.work import job
from sigdb.atlas.verify import verify
from sigdb.errors import CountsError, DamagedError, OptionError, StudyExistsError, UnreadableError
from tests.ingest.conftest import contents, small_adata

CHUNK_CELLS = 8
N_CHUNKS = 5
ATLAS = "a.duckdb"


@pytest.fixture
def model(small_model):
    return load_model("mlp", small_model)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two studies of 40 cells in 5 chunks each."""
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)
    for n, study in enumerate(("first", "second")):
        small_adata(seed=n).write_h5ad(tmp_path / f"{study}.h5ad")
    return tmp_path


def sources(folder):
    return [Source(folder / "first.h5ad"), Source(folder / "second.h5ad")]


@pytest.fixture
def whole(folder, model):
    """What an ingest of both studies without interruption comes to."""
    ingest_files(folder / "whole.duckdb", sources(folder), model)
    return contents(folder / "whole.duckdb")


def ingest_in_process(folder, small_model, n_workers=1, moment=None, file_limit=None):
    """The body of a process: add both studies to the atlas; die at a moment, if one is named."""
    pipeline.CHUNK_CELLS = CHUNK_CELLS
    if moment:
        die_at(*MOMENTS[moment])
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    options = IngestOptions(compute=Compute(device="cpu", workers=n_workers), if_exists="skip")
    try:
        ingest_files(folder / ATLAS, sources(folder), load_model("mlp", small_model), options)
    except Exception as error:
        (folder / "error.txt").write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error


def die_at(module, name, call):
    """Have this process killed at the given call of a function."""
    original, calls = getattr(module, name), []

    def function(*args, **options):
        calls.append(args)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    setattr(module, name, function)


@pytest.fixture(scope="module")
def processes():
    """Processes that start quickly, since one that has imported everything is there to be copied."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ingest.test_resume"])
    return context


def run(processes, *args, killed_after=None, **options):
    """Run `ingest_in_process`, and return its exit code."""
    process = processes.Process(target=ingest_in_process, args=args, kwargs=options)
    process.start()
    if killed_after is not None:
        time.sleep(killed_after)
        process.kill()
    process.join()
    return process.exitcode


def studies(path):
    """The studies of an atlas and how many cells each has; None if there is no atlas yet."""
    if not path.exists():
        return None
    with sigdb.connect(path) as con:
        query = (
            "SELECT study, (SELECT count(*) FROM cells AS c WHERE c.study = s.study) FROM studies AS s ORDER BY study"
        )
        assert con.execute("SELECT count(*) FROM ingest_chunks").fetchall()[0][0] % N_CHUNKS == 0
        return con.execute(query).fetchall()


WHOLE_STUDIES = (None, [], [("first", 40)], [("first", 40), ("second", 40)])


def test_killed_at_random_moments(folder, small_model, whole, processes):
    """Each process lives a little longer than the one before; after each, the atlas holds whole studies only."""
    seen = []
    lifetime = 0.05
    while (exit_code := run(processes, folder, small_model, killed_after=lifetime)) != 0:
        assert exit_code == -signal.SIGKILL
        seen.append(studies(folder / ATLAS))
        assert seen[-1] in WHOLE_STUDIES
        lifetime *= 1.4
        assert len(seen) < 40
    assert len(seen) > 2
    assert contents(folder / ATLAS) == whole
    assert not (folder / f"{ATLAS}.ingest").exists()


def children(pid):
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition):
    """Wait until something is so, for a minute at most."""
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc")
def test_killed_with_its_workers(folder, small_model, whole, processes):
    """Workers end with the process that started them, and what they have done is not done again."""
    process = processes.Process(target=ingest_in_process, args=(folder, small_model, 2))
    process.start()
    assert wait_for(lambda: list(folder.glob(f"{ATLAS}.ingest/*/chunk-*")))
    started = children(process.pid)
    process.kill()
    process.join()
    assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert studies(folder / ATLAS) in WHOLE_STUDIES
    assert run(processes, folder, small_model, 2) == 0
    assert contents(folder / ATLAS) == whole


# Where to die: module or class, function, and at which of its calls.
MOMENTS = {
    "in the middle of a chunk's files": (chunks, "sync", 8),
    "before a chunk has its name": (Path, "rename", 3),
    "when the last chunk is attributed": (job.Job, "keep", N_CHUNKS),
    "before anything is stored": (writer.StudyWriter, "store", 1),
    "when the scores are stored, but not the sums": (writer.StudyWriter, "_derive", 2),
    "when all is stored, but the chunks are still there": (pipeline, "settle", 1),
    "when the note of what is stored is written": (chunks, "write_note", 2),
    "when its chunks are removed": (chunks.shutil, "rmtree", 1),
    "before the notes are removed": (store_study, "forget_stored", 1),
    "in the middle of sorting": (store_study, "cluster", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_chosen_moment(folder, small_model, whole, processes, moment):
    assert run(processes, folder, small_model, moment=moment) == -signal.SIGKILL
    assert studies(folder / ATLAS) in WHOLE_STUDIES
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == whole
    assert not (folder / f"{ATLAS}.ingest").exists()


@pytest.mark.parametrize("file_limit", [500, 5_000, 300_000])
def test_a_full_disk(folder, small_model, whole, processes, file_limit):
    """No file can grow beyond a limit, in the folder of chunks or in the atlas."""
    exit_code = run(processes, folder, small_model, file_limit=file_limit)
    assert exit_code == 1
    assert re.match("OSError|IOException|AtlasError|CountsError", (folder / "error.txt").read_text())
    assert studies(folder / ATLAS) in WHOLE_STUDIES
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == whole


def test_a_disk_that_is_full_when_a_study_is_stored(folder, small_model, model, processes):
    """The cells of the second study have long texts, for which the atlas cannot grow."""
    adata = small_adata(seed=1)
    adata.obs["note"] = [np.random.default_rng(i).bytes(30_000).hex() for i in range(40)]
    adata.write_h5ad(folder / "second.h5ad")
    ingest_files(folder / "whole.duckdb", sources(folder), model)
    assert run(processes, folder, small_model, file_limit=1_500_000) == 1
    assert studies(folder / ATLAS) == [("first", 40)]
    assert chunks.unfinished_studies(folder / ATLAS) == ["second"]
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == contents(folder / "whole.duckdb")


def interrupt_at(n_cells):
    """A progress function that interrupts the second study."""

    def progress(study, done, total):
        if study == "second" and done >= n_cells:
            raise KeyboardInterrupt

    return progress


def interrupted(folder, model, **options):
    with pytest.raises(KeyboardInterrupt):
        ingest_files(folder / ATLAS, sources(folder), model, IngestOptions(progress=interrupt_at(17), **options))


def count_chunks(monkeypatch):
    """The numbers of the chunks that are attributed from now on."""
    numbers = []
    original = job.Job.keep

    def keep(job, number, chunk):
        numbers.append(number)
        original(job, number, chunk)

    monkeypatch.setattr(job.Job, "keep", keep)
    return numbers


def test_only_what_is_missing_is_attributed(folder, model, whole, monkeypatch, caplog):
    interrupted(folder, model)
    assert "24 of 40 cells are done and kept" in caplog.text or "16 of 40 cells" in caplog.text
    assert chunks.unfinished_studies(folder / ATLAS) == ["second"]
    numbers, told = count_chunks(monkeypatch), []
    options = IngestOptions(progress=lambda *news: told.append(news))
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options)
    assert len(numbers) in (2, 3)
    assert told[0] == ("second", 40 - 8 * len(numbers), 40)
    assert contents(folder / ATLAS) == whole


@pytest.mark.parametrize("times", [1, 2])
def test_the_same_command_goes_on_behind_the_studies_that_it_has_added(folder, model, whole, monkeypatch, times):
    """Without saying anything of the first study, which is in the atlas since the command was interrupted."""
    for _ in range(times):
        interrupted(folder, model)
    numbers = count_chunks(monkeypatch)
    (report,) = ingest_files(folder / ATLAS, sources(folder), model)
    assert (report.study, len(numbers) < N_CHUNKS) == ("second", True)
    assert contents(folder / ATLAS) == whole
    assert not (folder / f"{ATLAS}.ingest").exists()
    with pytest.raises(StudyExistsError, match="'first' is in the atlas already"):
        ingest_files(folder / ATLAS, sources(folder), model)


def test_a_replacement_that_is_interrupted_goes_on(folder, model):
    ingest_files(folder / ATLAS, sources(folder), model)
    small_adata(n_cells=33, seed=9).write_h5ad(folder / "second.h5ad")
    interrupted_options = IngestOptions(if_exists="replace", progress=interrupt_at(17))
    with pytest.raises(KeyboardInterrupt):
        ingest_files(folder / ATLAS, sources(folder)[1:], model, interrupted_options)
    assert studies(folder / ATLAS) == [("first", 40), ("second", 40)]
    (report,) = ingest_files(folder / ATLAS, sources(folder)[1:], model, IngestOptions(if_exists="replace"))
    assert report.n_cells == 33
    assert studies(folder / ATLAS) == [("first", 40), ("second", 33)]


def test_files_of_one_name_are_refused_before_any_is_read(folder, model):
    (folder / "other").mkdir()
    twice = [*sources(folder), Source(folder / "other" / "first.h5ad")]
    with pytest.raises(OptionError, match="1 study names are used by more than one of the 3 files: first"):
        ingest_files(folder / ATLAS, twice, model, IngestOptions(if_exists="skip"))
    assert not (folder / ATLAS).exists()


@pytest.mark.parametrize("damage", ["", "{"])
def test_a_stage_without_a_readable_plan_is_begun_anew(folder, model, whole, damage):
    interrupted(folder, model)
    (note,) = (folder / f"{ATLAS}.ingest").glob(f"*/{chunks.PLAN}")
    note.write_text(damage)
    assert chunks.unfinished_studies(folder / ATLAS) == []
    ingest_files(folder / ATLAS, sources(folder), model)
    assert contents(folder / ATLAS) == whole


def test_a_matrix_that_cannot_be_sorted_leaves_no_stage(folder, model):
    adata = small_adata(seed=1)
    adata.X = csc_matrix(adata.X)
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "second.h5ad")
    with pytest.raises(CountsError, match="fractional"):
        ingest_files(folder / ATLAS, sources(folder), model, IngestOptions(layer="X"))
    assert chunks.unfinished_studies(folder / ATLAS) == []


def test_an_atlas_that_cannot_be_sorted_is_whole_all_the_same(folder, model, whole, monkeypatch, caplog):
    def fail(con):
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(store_study, "cluster", fail)
    reports = ingest_files(folder / ATLAS, sources(folder), model)
    assert [report.study for report in reports] == ["first", "second"]
    assert "could not be sorted (sigdb optimize): No space left" in caplog.text
    assert contents(folder / ATLAS) == whole


CHANGES = {
    "other method": ({"method": Method(n_steps=7)}, None),
    "other file": ({}, lambda folder: small_adata(seed=5).write_h5ad(folder / "second.h5ad")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_would_be_other_is_attributed_anew(folder, model, monkeypatch, change):
    options, do = CHANGES[change]
    interrupted(folder, model)
    if do:
        do(folder)
    numbers = count_chunks(monkeypatch)
    (report,) = ingest_files(
        folder / ATLAS,
        [Source(folder / "second.h5ad")],
        model,
        IngestOptions(run="other" if options else None, **options),
    )
    assert numbers == list(range(N_CHUNKS))
    assert report.n_cells == 40
    assert chunks.unfinished_studies(folder / ATLAS) == ["second"], "the first attempt is still kept"


def test_chunks_whose_cells_have_other_places_now_are_attributed_anew(folder, model, monkeypatch):
    """The same file, but cell types from another column: the cells lie in another order."""
    interrupted(folder, model)
    numbers = count_chunks(monkeypatch)
    options = IngestOptions(mapping={"cell_type": "cluster"})
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options)
    assert numbers == list(range(N_CHUNKS))
    with sigdb.connect(folder / ATLAS) as con:
        rows = con.execute("SELECT cell_type FROM cells WHERE study = 'second' ORDER BY cell_id").fetchall()
    assert rows == [(str(cluster),) for cluster in range(5) for _ in range(8)]
    assert not (folder / f"{ATLAS}.ingest").exists()


def test_a_file_that_is_at_fault_leaves_no_chunks(folder, model):
    adata = small_adata()
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "second.h5ad")
    with pytest.raises(CountsError, match="1 fractional"):
        ingest_files(folder / ATLAS, sources(folder), model, IngestOptions(layer="X"))
    assert studies(folder / ATLAS) == [("first", 40)]
    assert not list(folder.glob(f"{ATLAS}.ingest/*/chunk-*"))
    assert chunks.unfinished_studies(folder / ATLAS) == []


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(errno.ESTALE, "stale"), UnreadableError, r"second\.h5ad could not be read: Stale file handle$"),
        (KeyError("unable to open (file read failed: errno = 5, ...)"), UnreadableError, "Input/output error$"),
        (OSError("wrong B-tree signature"), DamagedError, r"second\.h5ad is damaged, .*: wrong B-tree signature"),
    ],
    ids=["by number", "in the text of h5py", "damaged"],
)
def test_a_file_that_cannot_be_read_costs_no_chunks(folder, model, whole, monkeypatch, error, kind, text):
    """It may be the machine: what was attributed is as good as before."""
    original = RowReader.read_sparse

    def sparse_rows(reader, start, stop):
        if reader.source.path.stem == "second" and start == 3 * CHUNK_CELLS:
            raise error
        return original(reader, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(RowReader, "read_sparse", sparse_rows)
        with pytest.raises(kind, match=text):
            ingest_files(folder / ATLAS, sources(folder), model)
    assert chunks.unfinished_studies(folder / ATLAS) == ["second"]
    numbers = count_chunks(monkeypatch)
    ingest_files(folder / ATLAS, sources(folder)[1:], model)
    assert set(numbers) < set(range(N_CHUNKS))
    assert contents(folder / ATLAS) == whole


def test_a_study_that_is_there_can_be_skipped(folder, model, whole):
    assert len(ingest_files(folder / ATLAS, sources(folder)[:1], model)) == 1
    (report,) = ingest_files(folder / ATLAS, sources(folder), model, IngestOptions(if_exists="skip"))
    assert report.study == "second"
    assert contents(folder / ATLAS) == whole
    assert ingest_files(folder / ATLAS, sources(folder), model, IngestOptions(if_exists="skip")) == []
    assert contents(folder / ATLAS) == whole


def rows_of(path, study):
    """Cells and scores of a study, bit for bit."""
    query = """SELECT * FROM sigdb_data.attributions AS a JOIN sigdb_data.cell_data AS c USING (cell_id)
        JOIN sigdb_data.samples AS s USING (sample_id) JOIN sigdb_data.studies AS t USING (study_id)
        WHERE study = ? ORDER BY ALL"""
    with sigdb.connect(path) as con:
        return con.execute(query, [study]).fetchall()


def test_a_study_can_be_replaced(folder, model):
    """By another one, with fewer samples and another disease; the other study stays as it is, bit for bit."""
    ingest_files(folder / ATLAS, sources(folder), model)
    kept = rows_of(folder / ATLAS, "second")
    adata = small_adata(n_cells=30, seed=9)
    adata.obs["sample"] = adata.obs["donor_id"] = [f"s{i % 3}" for i in range(30)]
    adata.obs["disease"] = "flu"
    adata.write_h5ad(folder / "first.h5ad")
    (report,) = ingest_files(folder / ATLAS, sources(folder)[:1], model, IngestOptions(if_exists="replace"))
    assert report.n_cells == 30
    assert rows_of(folder / ATLAS, "second") == kept
    ingest_files(folder / "new.duckdb", sources(folder), model)
    query = "SELECT * EXCLUDE (donor, tissue) FROM signature_by_sample(['LYZ', 'CD14']) ORDER BY ALL"
    with sigdb.connect(folder / ATLAS) as replaced, sigdb.connect(folder / "new.duckdb") as new:
        assert replaced.execute(query).fetchall() == new.execute(query).fetchall()
        assert replaced.execute("SELECT study, n_cells FROM studies ORDER BY study").fetchall() == [
            ("first", 30), ("second", 40)
        ]  # fmt: skip
        assert {finding.check: finding.n for finding in verify(replaced) if finding.n} == {}


def test_a_replacement_that_fails_leaves_the_study_as_it_was(folder, model, whole):
    ingest_files(folder / ATLAS, sources(folder), model)
    adata = small_adata(seed=9)
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "first.h5ad")
    with pytest.raises(CountsError):
        ingest_files(folder / ATLAS, sources(folder)[:1], model, IngestOptions(if_exists="replace", layer="X"))
    assert contents(folder / ATLAS) == whole


def test_a_study_with_other_runs_is_not_replaced(folder, model):
    ingest_files(folder / ATLAS, sources(folder)[:1], model)
    ingest_files(folder / ATLAS, sources(folder)[:1], model, IngestOptions(Method(n_steps=5), run="quick"))
    before = contents(folder / ATLAS)
    with pytest.raises(StudyExistsError, match=r"scores of 1 other runs too \(quick\).*drop-study"):
        ingest_files(folder / ATLAS, sources(folder)[:1], model, IngestOptions(if_exists="replace"))
    assert contents(folder / ATLAS) == before
    assert not (folder / f"{ATLAS}.ingest").exists()


def test_a_further_run_finds_the_cells_in_another_order(folder, model):
    """Cells are known by their barcodes."""
    method = Method("ixg")
    ingest_files(folder / "whole.duckdb", sources(folder)[:1], model, IngestOptions(method))
    ingest_files(folder / ATLAS, sources(folder)[:1], model)
    small_adata(seed=0)[::-1].copy().write_h5ad(folder / "first.h5ad")
    ingest_files(folder / ATLAS, sources(folder)[:1], model, IngestOptions(method, run="again"))
    query = "SELECT cell_id, score FROM signature_score(['LYZ', 'CD14'], run := ?) ORDER BY cell_id"
    with sigdb.connect(folder / ATLAS) as con, sigdb.connect(folder / "whole.duckdb") as other:
        found, expected = (np.array(c.execute(query, [r]).fetchall()) for c, r in ((con, "again"), (other, None)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
