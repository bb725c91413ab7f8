"""Worker processes store what one process stores, even if they are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile

import pytest
import torch

from ingest import pipeline
from ingest.options import Compute, IngestOptions, Source
from ingest.pipeline import ingest_files
from ingest.work import workers
from sigdb.errors import (
    CountsError,
    DeviceError,
)
from tests.ingest.conftest import contents, scores_of, small_adata
from tests.support.formats import matrix_folder


@pytest.mark.slow
def test_workers_store_the_same_to_the_last_bit(tmp_path, model, file, monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", 16)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"  # the ledger records the number of a worker's GPU
    ingest_files(tmp_path / "one.duckdb", [Source(file)], model, IngestOptions(compute=Compute(device)))
    seen = []
    options = IngestOptions(compute=Compute(device, workers=2), progress=lambda *news: seen.append(news))
    ingest_files(tmp_path / "two.duckdb", [Source(file)], model, options)
    assert contents(tmp_path / "one.duckdb") == contents(tmp_path / "two.duckdb")
    assert seen == [("study", n, 40) for n in (0, 16, 32, 40)]


@pytest.mark.slow
def test_workers_share_the_sorted_copy(tmp_path, model, file, monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", 16)
    ingest_files(tmp_path / "one.duckdb", [Source(file)], model)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    seen = set()
    options = IngestOptions(
        compute=Compute(workers=2),
        progress=lambda study, done, total: seen.update(path.name for path in temporary.glob("sigdb-*")),
    )
    path = matrix_folder(small_adata(), tmp_path / "form")
    ingest_files(tmp_path / "two.duckdb", [Source(path)], model, options)
    assert scores_of(tmp_path / "two.duckdb") == scores_of(tmp_path / "one.duckdb")
    assert len(seen) == 1
    assert not list(temporary.glob("sigdb-*"))


@pytest.mark.slow
def test_a_killed_worker_is_reported_and_its_chunk_done_again(tmp_path, model, file, monkeypatch, caplog):
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", 5)
    ingest_files(tmp_path / "whole.duckdb", [Source(file)], model)
    killed = []

    def kill_one(study, done, total):
        if done and not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    options = IngestOptions(compute=Compute(workers=2), progress=kill_one)
    (report,) = ingest_files(tmp_path / "killed.duckdb", [Source(file)], model, options)
    assert killed
    assert report.notes[-1] == "worker processes were killed 1 times; their cells were attributed again"
    assert "A worker process was killed" in caplog.text
    assert contents(tmp_path / "whole.duckdb") == contents(tmp_path / "killed.duckdb")


@pytest.mark.slow
def test_workers_that_are_killed_repeatedly_end_the_run(tmp_path, model, file, monkeypatch):
    monkeypatch.setattr(workers, "do_chunk", kill_this_process)
    monkeypatch.setattr(workers, "MOST_DEATHS", 2)
    with pytest.raises(DeviceError, match="killed 2 times in a row"):
        ingest_files(tmp_path / "a.duckdb", [Source(file)], model, IngestOptions(compute=Compute(workers=2)))
    assert not (tmp_path / "a.duckdb").exists()


def kill_this_process(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_an_error_in_a_worker_ends_the_run(tmp_path, model, monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", 16)
    adata = small_adata()
    adata.X[30, 0] = 0.5
    adata.write_h5ad(tmp_path / "bad.h5ad")
    options = IngestOptions(layer="X", compute=Compute(workers=2))
    with pytest.raises(CountsError, match=r"1 fractional values .*in cells 16 to 31"):
        ingest_files(tmp_path / "a.duckdb", [Source(tmp_path / "bad.h5ad")], model, options)
