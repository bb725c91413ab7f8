"""Commands that write are killed, find the disk full or a flipped byte: the atlas is as before or as after.

A command that did not finish is run again, and the result is that of a run that nothing disturbed.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb import cli
from sigdb.errors import SigdbError
from sigdb.lake import manifest
from tests.ingest.conftest import save_small_model, small_adata
from tests.ingest.given.conftest import given_obs, given_scores, write_files
from tests.support.lakes import copy_toy_lake, copy_two_runs
from tests.support.toy import copy_toy, fingerprint, make_schema_4

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.file_only("it writes atlas files")


def schema_4(folder: Path) -> None:
    make_schema_4(copy_toy(folder / "a.duckdb"))


def scores(folder: Path) -> None:
    write_files(folder, given_scores(), given_obs())
    copy_toy(folder / "a.duckdb")


def loaded(folder: Path) -> None:
    """The atlas holds another version of the study."""
    scores(folder)
    call([*LOAD, "--run", "r"], folder)
    write_files(folder, given_scores(seed=1), given_obs())


def counts(folder: Path) -> None:
    small_adata(40).write_h5ad(folder / "study.h5ad")
    save_small_model(folder / "model")
    copy_toy(folder / "a.duckdb")


def counted(folder: Path) -> None:
    """The atlas holds the study with other counts."""
    counts(folder)
    call(INGEST, folder)
    small_adata(40, seed=1).write_h5ad(folder / "study.h5ad")


def lake(folder: Path) -> None:
    copy_toy_lake(folder / "lake")


def two_runs(folder: Path) -> None:
    copy_two_runs(folder / "a.duckdb")


def old_lake(folder: Path) -> None:
    """The lake lacks what was added to the atlas since."""
    two_runs(folder)
    call(["export", "a.duckdb", "lake"], folder)
    call(["drop-study", "a.duckdb", "one", "--yes"], folder)


def signatures(folder: Path) -> None:
    copy_toy(folder / "a.duckdb")
    (folder / "s.gmt").write_text("".join(f"S{n}\tabout\tCD3E\tS100A8\n" for n in range(200)))


class Command(NamedTuple):
    """A command line, what makes its inputs, and what it writes."""

    prepare: Callable[[Path], object]
    arguments: list[str]
    written: str = "a.duckdb"


LOAD = ["load", "a.duckdb", "--matrix", "scores.npz", "--obs", "obs.csv", "--genes", "genes.txt", "--study", "mine"]
INGEST = ["ingest", "a.duckdb", "study.h5ad", "--model", "mlp", "--weights", "model", "--steps", "2"]
COMMANDS = {
    "load": Command(scores, [*LOAD, "--run", "r"]),
    "load --if-exists replace": Command(loaded, [*LOAD, "--run", "r", "--if-exists", "replace"]),
    "import-lake": Command(lake, ["import-lake", "lake", "a.duckdb"]),
    "export": Command(two_runs, ["export", "a.duckdb", "lake"], "lake"),
    "export again": Command(old_lake, ["export", "a.duckdb", "lake"], "lake"),
    "upgrade": Command(schema_4, ["upgrade", "a.duckdb"]),
    "drop-study": Command(two_runs, ["drop-study", "a.duckdb", "one", "--yes"]),
    "optimize": Command(two_runs, ["optimize", "a.duckdb"]),
    "signatures add": Command(signatures, ["signatures", "add", "a.duckdb", "s.gmt"]),
    "signatures materialize": Command(signatures, ["signatures", "materialize", "a.duckdb", "MYELOID"]),
    "signatures view": Command(signatures, ["signatures", "view", "a.duckdb", "MYELOID"]),
    "ingest": Command(counts, INGEST),
    "ingest --workers": Command(counts, [*INGEST, "--workers", "2"]),
    "ingest --if-exists replace": Command(counted, [*INGEST, "--if-exists", "replace"]),
}
QUICK = ("load",)
EVERY = [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in COMMANDS]
TIMES = {
    "attribution_runs": "EXCLUDE (started, finished)",
    "ingest_chunks": "EXCLUDE (written)",
    "atlas_info": "EXCLUDE (value)",
}


def call(arguments: list[str], folder: Path, file_limit: int = 0, started: object = None) -> None:
    """The body of a process: a command in a folder, where no file can grow beyond a limit, if one is given."""
    os.chdir(folder)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    sys.argv = ["sigdb", *arguments]
    if started:
        started.set()
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            cli.app()
        except SystemExit as end:
            if started or end.code:
                raise


@pytest.fixture(scope="module")
def processes():
    """Start processes quickly: they are forked from a server that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ingest.store.test_crashes"])
    return context


def run(processes, arguments, folder, file_limit=0, kill_after=None):
    """Run a command in a process of its own; return its exit code and the seconds that it took."""
    started = processes.Event()
    process = processes.Process(target=call, args=(arguments, folder, file_limit, started))
    process.start()
    assert started.wait(60)
    start = time.monotonic()
    if kill_after is not None:
        process.join(kill_after)
        process.kill()
    process.join()
    return process.exitcode, time.monotonic() - start


def state(path):
    """The rows of all tables of an atlas or a lake, without times; None if there is none yet."""
    if not (path / manifest.NAME if path.name == "lake" else path).exists():
        return None
    with sigdb.connect(path) if path.is_dir() else duckdb.connect(path, read_only=True) as con:
        tables = "SELECT DISTINCT table_name FROM duckdb_columns() WHERE schema_name = 'sigdb_data' ORDER BY ALL"
        query = "SELECT * {} FROM sigdb_data.{} ORDER BY ALL"
        names = [name for (name,) in con.execute(tables).fetchall()]
        return {name: con.execute(query.format(TIMES.get(name, ""), name)).fetchall() for name in names}


def inputs(command, folder):
    """The inputs of a command in a new folder."""
    folder.mkdir()
    command.prepare(folder)
    return folder


@pytest.fixture
def undisturbed(request, tmp_path, processes):
    """A command, a folder with its inputs, the states before and after, and the seconds that it takes."""
    command = COMMANDS[request.param]
    template = tmp_path / "template"
    inputs_made = processes.Process(target=inputs, args=(command, template))
    inputs_made.start()
    inputs_made.join()
    assert inputs_made.exitcode == 0
    shutil.copytree(template, tmp_path / "whole")
    before = state(tmp_path / "whole" / command.written)
    code, seconds = run(processes, command.arguments, tmp_path / "whole")
    assert code == 0
    return command, template, before, state(tmp_path / "whole" / command.written), seconds


def check_and_repeat(processes, command, folder, before, after):
    """The state is that before or that after. If nothing was done, the same command does it now."""
    found = state(folder / command.written)
    assert found in (before, after)
    if found != after:
        assert run(processes, command.arguments, folder)[0] == 0
        assert state(folder / command.written) == after


@pytest.mark.parametrize("undisturbed", EVERY, indirect=True)
def test_killed_at_any_moment(undisturbed, tmp_path, processes, request):
    command, template, before, after, seconds = undisturbed
    n_moments = 6 if request.config.getoption("thorough") else 1
    for n in range(1, n_moments + 1):
        folder = shutil.copytree(template, tmp_path / f"killed {n}")
        code, _ = run(processes, command.arguments, folder, kill_after=seconds * n / (n_moments + 1))
        assert code in (0, -signal.SIGKILL)
        check_and_repeat(processes, command, folder, before, after)


@pytest.mark.slow
@pytest.mark.parametrize("undisturbed", list(COMMANDS), indirect=True)
@pytest.mark.parametrize("part", [0.0001, 0.3, 0.9])
def test_a_full_disk(undisturbed, tmp_path, processes, part):
    """No file can grow beyond a part of what the largest has."""
    command, template, before, after, _ = undisturbed
    largest = max(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    folder = shutil.copytree(template, tmp_path / "full")
    code, _ = run(processes, command.arguments, folder, file_limit=int(largest * part))
    assert code in (0, 1)
    check_and_repeat(processes, command, folder, before, after)


def test_one_flipped_byte_in_any_block(tmp_path, request):
    """DuckDB refuses the block, or nothing that the atlas holds depends on it. No answer is wrong."""
    atlas = copy_toy(tmp_path / "a.duckdb")
    content, whole = atlas.read_bytes(), fingerprint(atlas)
    rng, n_refused = np.random.default_rng(0), 0
    blocks = [0, 4096, 8192, *range(12288, len(content), 262144)]
    chosen = blocks if request.config.getoption("thorough") else blocks[1::6]
    for block in chosen:
        at = min(block + int(rng.integers(4096)), len(content) - 1)
        atlas.write_bytes(content[:at] + bytes([content[at] ^ 1 << rng.integers(8)]) + content[at + 1 :])
        try:
            assert fingerprint(atlas) == whole
        except (SigdbError, duckdb.Error):
            n_refused += 1
    assert n_refused >= len(chosen) // 2
