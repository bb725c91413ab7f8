"""Spark processes that do not start, or that are killed during an ingest."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import sigdb
from ingest.models import load_model
from ingest.options import Method
from sigdb.errors import AtlasError
from tests.ingest.spark.conftest import (
    CHUNK_CELLS,
    MASTER,
    NEEDS_JAVA,
    SETTINGS,
    assert_same,
    chunks,
    in_atlas,
    small_study,
)
from tests.support import ROOT

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-cluster")
pytestmark = NEEDS_JAVA

# The command line, with small chunks.
COMMAND = f"from ingest import pipeline; pipeline.CHUNK_CELLS = {CHUNK_CELLS}; from sigdb.cli import main; main()"
SLOW = Method(n_steps=6000, quadrature="riemann_middle")
N_CHUNKS = 20


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


@contextmanager
def running_ingest(folder, weights):
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
    with running_ingest(slow, small_model) as process:
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
    with running_ingest(slow, small_model) as process:
        wait_for_chunks(slow, process, 3)
    left = chunks(slow)
    assert 3 <= len(left) < N_CHUNKS
    with pytest.raises(AtlasError, match="an unfinished lake"):
        sigdb.connect(slow / "lake")
    with running_ingest(slow, small_model) as process:
        wait_for_chunks(slow, process, len(left) + 1)
        assert left.items() <= chunks(slow).items()
        output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    assert_same(slow / "lake", slow / "a.duckdb")
