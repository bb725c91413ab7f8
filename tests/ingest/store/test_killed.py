"""An ingest that is killed or finds the disk full: the atlas holds whole studies only, and the same call continues."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from ingest import pipeline
from ingest.models import load_model
from ingest.pipeline import ingest_files
from ingest.store import chunks, stage, writer
from ingest.store import study as store_study
from ingest.work import job
from tests.ingest.conftest import contents, small_adata
from tests.ingest.store.conftest import (
    ATLAS,
    CHUNK_CELLS,
    N_CHUNKS,
    options,
    sources,
    studies,
)

WHOLE_STUDIES = (None, [], [("first", 40)], [("first", 40), ("second", 40)])


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
    context.set_forkserver_preload(["tests.ingest.store.test_killed"])
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


@pytest.mark.slow
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
    """The ids of the children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition):
    """Wait until a condition holds, for a minute at most."""
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_chosen_moment(with_atlas, small_model, whole, processes, moment):
    folder = with_atlas
    assert run(processes, folder, small_model, moment=moment) == -signal.SIGKILL
    assert studies(folder / ATLAS) in WHOLE_STUDIES
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == whole
    assert not (folder / f"{ATLAS}.ingest").exists()


@pytest.mark.parametrize(
    "file_limit", [500, pytest.param(5_000, marks=pytest.mark.slow), pytest.param(300_000, marks=pytest.mark.slow)]
)
def test_a_full_disk(folder, small_model, whole, processes, file_limit):
    """No file can grow beyond a limit, neither a chunk nor the atlas."""
    exit_code = run(processes, folder, small_model, file_limit=file_limit)
    assert exit_code == 1
    assert re.match("OSError|IOException|AtlasError|CountsError", (folder / "error.txt").read_text())
    assert studies(folder / ATLAS) in WHOLE_STUDIES
    assert run(processes, folder, small_model) == 0
    assert contents(folder / ATLAS) == whole


@pytest.mark.slow
def test_a_disk_that_is_full_when_a_study_is_stored(with_atlas, template, small_model, model, processes):
    """The cells of the second study have long texts, which do not fit into the atlas."""
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
