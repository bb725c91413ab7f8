"""Ctrl-C during `sigdb ingest`: a clean end, cells that are kept, and the same result afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import anndata as ad
import pytest
import scipy.sparse as sp

from sigdb.cli.signals import GRACE
from tests.ingest.conftest import contents
from tests.sigdb.cli.conftest import run, words
from tests.support import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")]

DEMO = ROOT / "ingest" / "demo"
# The command announces each moment, and waits there for a time in which Ctrl-C arrives.
CODE = """
import sys, time
from ingest.pipeline import ThisMachine
from ingest.store.stage import Stage
from sigdb.cli import main

def pause(owner, name, call):
    original, calls = getattr(owner, name), []
    def function(*args, **keywords):
        calls.append(name)
        if len(calls) == call:
            print("ready", flush=True)
            time.sleep(60)
        return original(*args, **keywords)
    setattr(owner, name, function)

MOMENT
sys.argv = ["sigdb", *sys.argv[1:]]
main()
"""
MOMENTS = {
    "before the first cell": ('pause(ThisMachine, "attribute", 1)', "No cells are kept: the first ones were not"),
    "while chunks are missing": ("", " of 1,400 cells are done and kept. The same command continues"),
    "while scores are stored": ('pause(ThisMachine, "store_scores", 1)', "1,400 of 1,400 cells are done and kept."),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The study of the fewest genes, twice: six chunks."""
    once = ad.read_h5ad(DEMO / "studies" / "zheng2017_pbmc68k.h5ad")
    path = tmp_path_factory.mktemp("study") / "twice.h5ad"
    twice = ad.AnnData(sp.vstack([once.X, once.X]).tocsr(), var=once.var)
    twice.obs_names = [f"cell{i}" for i in range(twice.n_obs)]
    twice.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def whole(study):
    """The contents of the atlas of a command that was not stopped."""
    assert run(*command(study, 1), cwd=study.parent)[0] == 0
    return contents(study.parent / "a.duckdb")


def command(study, workers):
    weights = str(DEMO / "model")
    return ["ingest", "a.duckdb", str(study), "--model", "mlp", "--weights", weights, "--workers", str(workers)]


def wait_for(folder, process, moment):
    """Wait until the command is at a moment."""
    if "ready" in moment:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        return
    while not list(folder.glob("a.duckdb.ingest/*/chunk-*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_is_answered_at_once_and_the_same_command_goes_on(tmp_path, study, whole, moment, workers):
    pause, message = MOMENTS[moment]
    arguments = command(study, workers)
    code = CODE.replace("MOMENT", pause)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        wait_for(tmp_path, process, "ready" if pause else "chunks")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        started = time.monotonic()
        _, err = process.communicate(timeout=60)
        took = time.monotonic() - started
    assert process.returncode == 128 + signal.SIGINT
    assert took < GRACE, "half a second on an idle machine; the command ends by itself, before it would be ended"
    assert message in words(err)
    assert "Error: Stopped by SIGINT. What was finished is kept" in words(err)
    assert "Traceback" not in err
    assert not (tmp_path / "a.duckdb").exists(), "an atlas without studies is removed"
    kept = bool(list(tmp_path.glob("a.duckdb.ingest/*/chunk-*")))
    assert kept == ("before" not in moment)
    assert run(*arguments, cwd=tmp_path)[0] == 0
    assert contents(tmp_path / "a.duckdb") == whole
