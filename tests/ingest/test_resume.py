"""An ingest that is stopped: the atlas holds whole studies at every moment, and the same command continues."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import resource
import shutil
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
from ingest.store import chunks, stage, writer
from ingest.store import study as store_study
from ingest.work import job
from sigdb.atlas.verify import verify
from sigdb.errors import CountsError, DamagedError, OptionError, StudyExistsError, UnreadableError
from tests.ingest.conftest import contents, small_adata

CHUNK_CELLS = 8
N_CHUNKS = 5
ATLAS = "a.duckdb"
STUDIES = ("first", "second")


def options(n_workers=1, **changes):
    """Options that cost little: two steps, one thread per process."""
    usual = {"method": Method(n_steps=2), "compute": Compute(device="cpu", workers=n_workers, threads=n_workers)}
    return IngestOptions(**{**usual, **changes})


def sources(folder):
    return [Source(folder / f"{study}.h5ad") for study in STUDIES]


@pytest.fixture(scope="module")
def template(tmp_path_factory, small_model):
    """A folder with two studies of 40 cells, `whole.duckdb`, which holds both, and an empty atlas."""
    folder = tmp_path_factory.mktemp("template")
    for n, study in enumerate(STUDIES):
        small_adata(seed=n).write_h5ad(folder / f"{study}.h5ad")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)
        ingest_files(folder / "whole.duckdb", sources(folder), load_model("mlp", small_model), options())
    sigdb.Atlas.create(folder / "empty.duckdb").close()
    return folder


@pytest.fixture(scope="module")
def whole(template):
    """What an ingest of both studies without interruption stores."""
    return contents(template / "whole.duckdb")


@pytest.fixture
def model(small_model):
    return load_model("mlp", small_model)


@pytest.fixture
def folder(template, tmp_path, monkeypatch):
    """A folder with two studies of 40 cells, which are read in 5 chunks each."""
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)
    for study in STUDIES:
        shutil.copy(template / f"{study}.h5ad", tmp_path)
    return tmp_path


@pytest.fixture
def with_atlas(template, folder):
    """The same folder with an empty atlas, where it does not matter who makes the atlas."""
    shutil.copy(template / "empty.duckdb", folder / ATLAS)
    return folder


@pytest.fixture
def with_both(template, folder):
    """The same folder with an atlas that holds both studies."""
    shutil.copy(template / "whole.duckdb", folder / ATLAS)
    return folder


def ingest_in_process(folder, small_model, n_workers=1, moment=None, file_limit=None):
    """The body of a process: add both studies to the atlas; die at `moment`, if given."""
    pipeline.CHUNK_CELLS = CHUNK_CELLS
    if moment:
        die_at(*MOMENTS[moment])
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    try:
        how = options(n_workers, if_exists="skip")
        ingest_files(folder / ATLAS, sources(folder), load_model("mlp", small_model), how)
    except Exception as error:
        (folder / "error.txt").write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error


def die_at(module, name, call):
    """Kill this process at the given call of a function."""
    original, calls = getattr(module, name), []

    def function(*args, **keywords):
        calls.append(args)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **keywords)

    setattr(module, name, function)


@pytest.fixture(scope="module")
def processes():
    """Start processes quickly: they are forked from a server that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ingest.test_resume"])
    return context


def run(processes, *args, killed_after=None, **keywords):
    """Run `ingest_in_process`, and return its exit code."""
    process = processes.Process(target=ingest_in_process, args=args, kwargs=keywords)
    process.start()
    if killed_after is not None:
        time.sleep(killed_after)
        process.kill()
    process.join()
    return process.exitcode


def studies(path):
    """The studies of an atlas, and the number of cells of each; None if there is no atlas yet."""
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
    """Each process lives a little longer than the last one. The atlas always holds whole studies only."""
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
    """The children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition):
    """Wait until a condition holds, for a minute at most."""
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc")
def test_killed_with_its_workers(with_atlas, small_model, whole, processes):
    """Workers end with the process that started them, and their chunks are kept."""
    folder = with_atlas
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


# Where to die: module or class, function, and the number of the call.
MOMENTS = {
    "in the middle of a chunk's files": (chunks, "sync", 6),
    "before a chunk is renamed": (Path, "rename", 3),
    "when the last chunk is attributed": (job.Job, "keep", N_CHUNKS),
    "before anything is stored": (writer.StudyWriter, "store", 1),
    "when the scores of the second study are stored, and nothing is derived": (writer.StudyWriter, "_derive", 2),
    "when all is stored, but chunks remain": (pipeline, "mark_stored", 1),
    "when the note of a stored study is written": (stage, "write_note", 2),
    "when the chunks of a stored study are removed": (stage.shutil, "rmtree", 1),
    "before the notes are removed": (store_study, "remove_stored_notes", 1),
    "while the atlas is sorted": (store_study, "cluster", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_chosen_moment(with_atlas, small_model, whole, processes, moment):
    folder = with_atlas
    assert run(processes, folder, small_model, moment=moment) == -signal.SIGKILL
    assert studies(folder / ATLAS) in WHOLE_STUDIES
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == whole
    assert not (folder / f"{ATLAS}.ingest").exists()


@pytest.mark.parametrize("file_limit", [500, 5_000, 300_000])
def test_a_full_disk(folder, small_model, whole, processes, file_limit):
    """No file can grow beyond a limit, neither a chunk nor the atlas."""
    exit_code = run(processes, folder, small_model, file_limit=file_limit)
    assert exit_code == 1
    assert re.match("OSError|IOException|AtlasError|CountsError", (folder / "error.txt").read_text())
    assert studies(folder / ATLAS) in WHOLE_STUDIES
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == whole


def test_a_disk_that_is_full_when_a_study_is_stored(with_atlas, template, small_model, model, processes):
    """The cells of the second study have long texts, which the atlas has no room for."""
    folder = with_atlas
    adata = small_adata(seed=1)
    adata.obs["note"] = [np.random.default_rng(i).bytes(30_000).hex() for i in range(40)]
    adata.write_h5ad(folder / "second.h5ad")
    shutil.copy(template / "empty.duckdb", folder / "whole.duckdb")
    ingest_files(folder / "whole.duckdb", sources(folder), model, options())
    assert run(processes, folder, small_model, file_limit=1_500_000) == 1
    assert studies(folder / ATLAS) == [("first", 40)]
    assert stage.unfinished_studies(folder / ATLAS) == ["second"]
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == contents(folder / "whole.duckdb")


def interrupt_at(n_cells):
    """A progress function that interrupts the second study after n_cells."""

    def progress(study, done, total):
        if study == "second" and done >= n_cells:
            raise KeyboardInterrupt

    return progress


def interrupt(folder, model):
    with pytest.raises(KeyboardInterrupt):
        ingest_files(folder / ATLAS, sources(folder), model, options(progress=interrupt_at(17)))


@pytest.fixture
def interrupted(with_atlas, model):
    """A folder with an atlas that holds the first study, and chunks of the second."""
    interrupt(with_atlas, model)
    return with_atlas


def count_chunks(monkeypatch):
    """A list that gets the numbers of the chunks that are attributed from now on."""
    numbers = []
    original = job.Job.keep

    def keep(job, number, chunk):
        numbers.append(number)
        original(job, number, chunk)

    monkeypatch.setattr(job.Job, "keep", keep)
    return numbers


def test_only_what_is_missing_is_attributed(with_atlas, model, whole, monkeypatch, caplog):
    folder = with_atlas
    interrupt(folder, model)
    assert "24 of 40 cells are done and kept" in caplog.text or "16 of 40 cells" in caplog.text
    assert stage.unfinished_studies(folder / ATLAS) == ["second"]
    numbers, told = count_chunks(monkeypatch), []
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options(progress=lambda *news: told.append(news)))
    assert len(numbers) in (2, 3)
    assert told[0] == ("second", 40 - 8 * len(numbers), 40)
    assert contents(folder / ATLAS) == whole


@pytest.mark.parametrize("times", [1, 2])
def test_the_same_command_continues_after_the_studies_that_it_added(interrupted, model, whole, monkeypatch, times):
    """It does not complain about the first study, which it added before it was interrupted."""
    folder = interrupted
    for _ in range(times - 1):
        interrupt(folder, model)
    numbers = count_chunks(monkeypatch)
    (report,) = ingest_files(folder / ATLAS, sources(folder), model, options())
    assert (report.study, len(numbers) < N_CHUNKS) == ("second", True)
    assert contents(folder / ATLAS) == whole
    assert not (folder / f"{ATLAS}.ingest").exists()
    with pytest.raises(StudyExistsError, match="'first' is in the atlas already"):
        ingest_files(folder / ATLAS, sources(folder), model, options())


def test_a_replacement_that_is_interrupted_continues(with_both, model):
    folder = with_both
    small_adata(n_cells=33, seed=9).write_h5ad(folder / "second.h5ad")
    how = options(if_exists="replace", progress=interrupt_at(17))
    with pytest.raises(KeyboardInterrupt):
        ingest_files(folder / ATLAS, sources(folder)[1:], model, how)
    assert studies(folder / ATLAS) == [("first", 40), ("second", 40)]
    (report,) = ingest_files(folder / ATLAS, sources(folder)[1:], model, options(if_exists="replace"))
    assert report.n_cells == 33
    assert studies(folder / ATLAS) == [("first", 40), ("second", 33)]


def test_files_of_one_name_are_refused_before_any_is_read(folder, model):
    (folder / "other").mkdir()
    twice = [*sources(folder), Source(folder / "other" / "first.h5ad")]
    with pytest.raises(OptionError, match="1 study names are used by more than one of the 3 files: first"):
        ingest_files(folder / ATLAS, twice, model, options(if_exists="skip"))
    assert not (folder / ATLAS).exists()


@pytest.mark.parametrize("damage", ["", "{"])
def test_a_stage_without_a_readable_plan_starts_over(interrupted, model, whole, damage):
    folder = interrupted
    (note,) = (folder / f"{ATLAS}.ingest").glob(f"*/{stage.PLAN}")
    note.write_text(damage)
    assert stage.unfinished_studies(folder / ATLAS) == []
    ingest_files(folder / ATLAS, sources(folder), model, options())
    assert contents(folder / ATLAS) == whole


def test_a_matrix_that_cannot_be_sorted_leaves_no_stage(with_atlas, model):
    folder = with_atlas
    adata = small_adata(seed=1)
    adata.X = csc_matrix(adata.X)
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "second.h5ad")
    with pytest.raises(CountsError, match="fractional"):
        ingest_files(folder / ATLAS, sources(folder), model, options(layer="X"))
    assert stage.unfinished_studies(folder / ATLAS) == []


def test_an_atlas_that_cannot_be_sorted_is_still_whole(with_atlas, model, whole, monkeypatch, caplog):
    folder = with_atlas

    def fail(con):
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(store_study, "cluster", fail)
    reports = ingest_files(folder / ATLAS, sources(folder), model, options())
    assert [report.study for report in reports] == ["first", "second"]
    assert "could not be sorted: No space left on device. To sort them: `sigdb.atlas.optimize" in caplog.text
    assert contents(folder / ATLAS) == whole


CHANGES = {
    "other method": ({"method": Method(n_steps=7)}, None),
    "other file": ({}, lambda folder: small_adata(seed=5).write_h5ad(folder / "second.h5ad")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_chunks_of_another_method_or_file_are_not_used(interrupted, model, monkeypatch, change):
    folder = interrupted
    changes, do = CHANGES[change]
    if do:
        do(folder)
    numbers = count_chunks(monkeypatch)
    how = options(run="other" if changes else None, **changes)
    (report,) = ingest_files(folder / ATLAS, sources(folder)[1:], model, how)
    assert numbers == list(range(N_CHUNKS))
    assert report.n_cells == 40
    assert stage.unfinished_studies(folder / ATLAS) == ["second"], "the first attempt is still kept"


def test_chunks_are_not_used_if_their_cells_go_to_other_places(interrupted, model, monkeypatch):
    """The same file, but cell types from another column, and so another order of the cells."""
    folder = interrupted
    numbers = count_chunks(monkeypatch)
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options(mapping={"cell_type": "cluster"}))
    assert numbers == list(range(N_CHUNKS))
    with sigdb.connect(folder / ATLAS) as con:
        rows = con.execute("SELECT cell_type FROM cells WHERE study = 'second' ORDER BY cell_id").fetchall()
    assert rows == [(str(cluster),) for cluster in range(5) for _ in range(8)]
    assert not (folder / f"{ATLAS}.ingest").exists()


def test_a_file_that_is_at_fault_leaves_no_chunks(with_atlas, model):
    folder = with_atlas
    adata = small_adata()
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "second.h5ad")
    with pytest.raises(CountsError, match="1 fractional"):
        ingest_files(folder / ATLAS, sources(folder), model, options(layer="X"))
    assert studies(folder / ATLAS) == [("first", 40)]
    assert not list(folder.glob(f"{ATLAS}.ingest/*/chunk-*"))
    assert stage.unfinished_studies(folder / ATLAS) == []


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(errno.ESTALE, "stale"), UnreadableError, r"second\.h5ad could not be read: Stale file handle$"),
        (KeyError("unable to open (file read failed: errno = 5, ...)"), UnreadableError, "Input/output error$"),
        (OSError("wrong B-tree signature"), DamagedError, r"second\.h5ad is damaged, .*: wrong B-tree signature"),
    ],
    ids=["by number", "in the text of h5py", "damaged"],
)
def test_a_file_that_cannot_be_read_costs_no_chunks(with_atlas, model, whole, monkeypatch, error, kind, text):
    """The machine may be at fault, and the chunks that exist are still good."""
    folder, original = with_atlas, RowReader.read_sparse

    def sparse_rows(reader, start, stop):
        if reader.source.path.stem == "second" and start == 3 * CHUNK_CELLS:
            raise error
        return original(reader, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(RowReader, "read_sparse", sparse_rows)
        with pytest.raises(kind, match=text):
            ingest_files(folder / ATLAS, sources(folder), model, options())
    assert stage.unfinished_studies(folder / ATLAS) == ["second"]
    numbers = count_chunks(monkeypatch)
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options())
    assert set(numbers) < set(range(N_CHUNKS))
    assert contents(folder / ATLAS) == whole


def test_a_study_in_the_atlas_can_be_skipped(with_atlas, model, whole):
    folder = with_atlas
    assert len(ingest_files(folder / ATLAS, sources(folder)[:1], model, options())) == 1
    (report,) = ingest_files(folder / ATLAS, sources(folder), model, options(if_exists="skip"))
    assert report.study == "second"
    assert contents(folder / ATLAS) == whole
    assert ingest_files(folder / ATLAS, sources(folder), model, options(if_exists="skip")) == []
    assert contents(folder / ATLAS) == whole


def rows_of(path, study):
    """Cells and scores of a study, bit for bit."""
    query = """SELECT * FROM sigdb_data.attributions AS a JOIN sigdb_data.cell_data AS c USING (cell_id)
        JOIN sigdb_data.samples AS s USING (sample_id) JOIN sigdb_data.studies AS t USING (study_id)
        WHERE study = ? ORDER BY ALL"""
    with sigdb.connect(path) as con:
        return con.execute(query, [study]).fetchall()


def test_a_study_can_be_replaced(with_both, model):
    """By a study with fewer samples and another disease. The other study stays as it is, bit for bit."""
    folder = with_both
    kept = rows_of(folder / ATLAS, "second")
    adata = small_adata(n_cells=30, seed=9)
    adata.obs["sample"] = adata.obs["donor_id"] = [f"s{i % 3}" for i in range(30)]
    adata.obs["disease"] = "flu"
    adata.write_h5ad(folder / "first.h5ad")
    (report,) = ingest_files(folder / ATLAS, sources(folder)[:1], model, options(if_exists="replace"))
    assert report.n_cells == 30
    assert rows_of(folder / ATLAS, "second") == kept
    ingest_files(folder / "new.duckdb", sources(folder), model, options())
    query = "SELECT * EXCLUDE (donor, tissue) FROM signature_by_sample(['LYZ', 'CD14']) ORDER BY ALL"
    with sigdb.connect(folder / ATLAS) as replaced, sigdb.connect(folder / "new.duckdb") as new:
        assert replaced.execute(query).fetchall() == new.execute(query).fetchall()
        sizes = replaced.execute("SELECT study, n_cells FROM studies ORDER BY study").fetchall()
        assert sizes == [("first", 30), ("second", 40)]
        assert {finding.check: finding.n for finding in verify(replaced) if finding.n} == {}


def test_a_replacement_that_fails_leaves_the_study_as_it_was(with_both, model, whole):
    folder = with_both
    adata = small_adata(seed=9)
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "first.h5ad")
    with pytest.raises(CountsError):
        ingest_files(folder / ATLAS, sources(folder)[:1], model, options(if_exists="replace", layer="X"))
    assert contents(folder / ATLAS) == whole


def test_a_study_with_other_runs_is_not_replaced(with_both, model):
    folder = with_both
    ingest_files(folder / ATLAS, sources(folder)[:1], model, options(method=Method(n_steps=5), run="quick"))
    before = contents(folder / ATLAS)
    text = r"scores of 1 other runs too \(quick\).*drop the study with `sigdb\.Atlas\(path\)\.drop_study\(study\)`"
    with pytest.raises(StudyExistsError, match=text):
        ingest_files(folder / ATLAS, sources(folder)[:1], model, options(if_exists="replace"))
    assert contents(folder / ATLAS) == before
    assert not (folder / f"{ATLAS}.ingest").exists()


def test_a_further_run_finds_the_cells_in_another_order(with_both, model):
    """Cells are matched by their barcodes."""
    folder, method = with_both, Method("ixg")
    ingest_files(folder / "whole.duckdb", sources(folder)[:1], model, options(method=method))
    small_adata(seed=0)[::-1].copy().write_h5ad(folder / "first.h5ad")
    ingest_files(folder / ATLAS, sources(folder)[:1], model, options(method=method, run="again"))
    query = "SELECT cell_id, score FROM signature_score(['LYZ', 'CD14'], run := ?) ORDER BY cell_id"
    with sigdb.connect(folder / ATLAS) as con, sigdb.connect(folder / "whole.duckdb") as other:
        found, expected = (np.array(c.execute(query, [r]).fetchall()) for c, r in ((con, "again"), (other, None)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
