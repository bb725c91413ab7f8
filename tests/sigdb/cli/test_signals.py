"""Signals end a command with a message and a code of their own, cleaned up, and the atlas is as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from sigdb.disk import size_text
from sigdb.interrupt import can_interrupt, interrupt_readers
from tests.sigdb.cli.conftest import run, words
from tests.support.lakes import copy_toy_lake
from tests.support.toy import copy_toy, fingerprint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
# A command that stops in the middle of what it writes. `wait` is what it does there.
CODE = """
import hashlib, signal, sys, time
from sigdb.atlas.writer import Atlas
from sigdb.cli import main, signals
from sigdb.lake import restore

# A command that nohup started ignores SIGHUP, and so does this one if nohup started the tests.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def stop(*args, **keywords):
    print("ready", flush=True)
    WAIT
    raise SystemExit("the wait is over")

signals.GRACE = 0.3
restore.schema.install = stop
sys.argv = ["sigdb", "import-lake", "lake", "made.duckdb"]
main()
"""
WAITS = {
    "in Python": "time.sleep(60)",
    "in C, which looks for no signals": 'hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000_000)',
}


def stop(folder, number, wait):
    """Start the command, send it a signal in the middle, and return its code and its errors."""
    code = CODE.replace("WAIT", wait)
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    return process.returncode, words(err)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGHUP))]
)
def test_a_signal_undoes_what_is_not_finished(tmp_path, number):
    copy_toy_lake(tmp_path / "lake")
    code, err = stop(tmp_path, number, WAITS["in Python"])
    assert code == 128 + number
    assert err == f"Error: Stopped by {number.name}."
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


READING = """
import sys, time
from sigdb.atlas import file
from sigdb.cli import main

opened = file.check_version
file.check_version = lambda con, path: (opened(con, path), print("ready", flush=True))
main()
"""
# DuckDB 2.0 does not end these queries on SIGINT by itself.
COUNTING = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1e12) SELECT max(n) FROM t"
LONG = {"sql": [COUNTING], "score": ["T_CELL", "--cells", f"({COUNTING}) > 0"]}


@pytest.mark.parametrize("command", LONG)
def test_a_long_query_ends_at_once(tmp_path, command):
    copy_toy(tmp_path / "toy.duckdb")
    arguments = [sys.executable, "-c", READING, command, "toy.duckdb", *LONG[command]]
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 2, "a tenth of a second on an idle machine"
    assert (process.returncode, words(err)) == (128 + signal.SIGINT, "Error: Stopped by SIGINT.")


def test_an_interrupted_connection_can_be_used(toy):
    """Also one that no query ran in, and beside one that is closed."""
    cursor = can_interrupt(toy.cursor())
    can_interrupt(toy.cursor()).close()
    interrupt_readers()
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.slow
def test_a_command_that_does_not_listen_is_ended(tmp_path):
    copy_toy_lake(tmp_path / "lake")
    code, err = stop(tmp_path, signal.SIGTERM, WAITS["in C, which looks for no signals"])
    assert code == 128 + signal.SIGTERM
    assert "Error: Stopped by SIGTERM." in err
    assert not (tmp_path / "made.duckdb").exists()


@pytest.mark.slow
def test_an_ignored_signal_stays_ignored(tmp_path):
    """nohup ignores SIGHUP."""
    copy_toy_lake(tmp_path / "lake")
    ignored = "signal.raise_signal(signal.SIGHUP); signal.raise_signal(signal.SIGTERM)"
    code = CODE.replace("WAIT", ignored).replace("\nmain()", "\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nmain()")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "Error: This command needs more memory than this process may use. Use a machine with more"),
        (RecursionError("maximum"), "Error: The query or a file is nested more deeply than Python can follow. Write"),
    ],
)
def test_errors_of_python_say_what_to_do(tmp_path, monkeypatch, error, message):
    def fail(*args, **keywords):
        raise error

    # In this order: sigdb.verify is taken from sigdb.atlas.verify when it is first used, and put back afterwards.
    monkeypatch.setattr("sigdb.verify", fail)
    monkeypatch.setattr("sigdb.atlas.verify.verify", fail)
    copy_toy(tmp_path / "toy.duckdb")
    code, _, err = run("verify", "toy.duckdb", cwd=tmp_path)
    assert (code, words(err)[: len(message)]) == (1, message)
    assert "bug" not in err


def change(path, at, mask=16):
    content = bytearray(path.read_bytes())
    content[at] ^= mask
    path.write_bytes(content)


DAMAGE = {
    "a header": lambda atlas: change(atlas, 4096 + 10),
    "the catalog": lambda atlas: change(atlas, 12288 + 100),
    "no atlas": lambda atlas: atlas.write_bytes(b"x" * 20_000),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_has_a_way_out(tmp_path, case):
    DAMAGE[case](copy_toy(tmp_path / "toy.duckdb"))
    code, _, err = run("info", "toy.duckdb", cwd=tmp_path)
    assert code == 1
    assert "The file is damaged, or it is not an atlas. Put it back from a copy" in words(err)
    assert "`sigdb import-lake LAKE" in words(err)


LOG = """
import duckdb, os
con = duckdb.connect("toy.duckdb")
con.execute("SET wal_autocheckpoint = '1TB'")
con.execute("CREATE TABLE mine AS SELECT range AS a FROM range(1000)")
os._exit(0)
"""


def test_a_damaged_log_has_a_way_out(tmp_path):
    atlas = copy_toy(tmp_path / "toy.duckdb")
    before = fingerprint(atlas)
    subprocess.run([sys.executable, "-c", LOG], cwd=tmp_path, check=True)
    log = tmp_path / "toy.duckdb.wal"
    change(log, log.stat().st_size // 2)
    code, _, err = run("info", "toy.duckdb", cwd=tmp_path)
    assert code == 1
    assert "Its log, toy.duckdb.wal, is damaged or belongs to another file. Move the log elsewhere to open" in words(
        err
    )
    log.rename(tmp_path / "moved")
    assert fingerprint(atlas) == before


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (12_345_678, "12.3 MB"), (4.2e12, "4,200.0 GB")],
)
def test_sizes_are_never_rounded_to_nothing(n_bytes, text):
    assert size_text(n_bytes) == text
