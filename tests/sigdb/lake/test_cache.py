"""The cache of the files that show lakes: when an entry is used, when it is made again, and what happens without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest

import sigdb
from sigdb import Atlas, Signature, export_lake
from sigdb.errors import AtlasError
from sigdb.lake import cache
from sigdb.lake import open as lake_open
from tests.support.toy import make_toy

pytestmark = pytest.mark.file_only("it makes lakes of its own")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the entries."""
    monkeypatch.setenv("SIGDB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lakes"


@pytest.fixture
def lake(toy_path, tmp_path):
    export_lake(toy_path, tmp_path / "lake")
    return tmp_path / "lake"


@pytest.fixture
def made(monkeypatch):
    """A list with the lake of every file of views that is made, in order."""
    lakes = []
    original = lake_open.make_view_file

    def count(found):
        lakes.append(found.root)
        return original(found)

    monkeypatch.setattr(lake_open, "make_view_file", count)
    return lakes


def n_cells(lake):
    with sigdb.connect(lake, trusted=True) as con:
        ((n,),) = con.execute("SELECT count(*) FROM cells").fetchall()
        return n


def test_the_file_is_made_only_once(lake, folder, made):
    assert [n_cells(lake), n_cells(lake)] == [3, 3]
    assert len(made) == 1
    assert len(list(folder.iterdir())) == 1
    sigdb.attach_lake(lake, lake.with_name("shown.duckdb"))
    assert len(made) == 1
    assert n_cells(lake.with_name("shown.duckdb")) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", ["another place", "another export", "a file written again", "sigdb", "DuckDB", "SQL"]
)
def test_a_change_makes_another_entry(lake, folder, made, monkeypatch, change):
    n_cells(lake)
    if change == "another place":
        lake = Path(shutil.copytree(lake, lake.with_name("copy")))
    elif change == "another export":
        atlas = make_toy(lake.with_name("same.duckdb"))
        shutil.rmtree(lake)
        with Atlas(atlas) as opened:
            opened.add_signatures([Signature("NEW", ("CD3E",))])
        export_lake(atlas, lake)
    elif change == "a file written again":
        (path,) = (lake / "genes").iterdir()
        os.utime(path, ns=(0, 0))
    elif change == "sigdb":
        monkeypatch.setattr(lake_open, "version", lambda package: "999")
    elif change == "DuckDB":
        # Below 2, or `speed_up` would set what this DuckDB may not have.
        monkeypatch.setattr(lake_open.duckdb, "__version__", "1.999")
    else:
        monkeypatch.setattr(lake_open, "code_digest", lambda: "another")
    n_cells(lake)
    assert len(made) == len(list(folder.iterdir())) == 2


def test_the_digest_of_the_code_covers_sql_and_python():
    names = {each.name for each in cache.walk(cache.sql_root())}
    assert {"schema.sql", "cells.sql", "signature_values.sql"} <= names
    names = {each.name for each in cache.walk(cache.files("sigdb.lake"))}
    assert {"open.py", "cache.py"} <= names
    assert not any(name.endswith(".pyc") for name in names)


DAMAGE = {
    "empty": lambda held: b"",
    "cut off": lambda held: held[:-1],
    "a flipped bit": lambda held: held[:5000] + bytes([held[5000] ^ 1]) + held[5001:],
    "a flipped bit of the digest": lambda held: bytes([held[0] ^ 1]) + held[1:],
    "text": lambda held: b"not a database" * 1000,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_made_again(lake, folder, made, damage):
    n_cells(lake)
    (entry,) = folder.iterdir()
    sound = entry.read_bytes()
    entry.write_bytes(DAMAGE[damage](sound))
    assert n_cells(lake) == 3
    assert len(made) == 2
    assert cache.read_entry(entry) is not None
    assert n_cells(lake) == 3
    assert len(made) == 2


@pytest.mark.slow
@pytest.mark.parametrize("obstacle", ["a file", "a folder in the place of the entry", "a read-only folder"])
def test_lakes_open_without_a_usable_folder(lake, folder, made, obstacle):
    if obstacle == "a file":
        folder.parent.write_text("mine")
    elif obstacle == "a read-only folder":
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        folder.mkdir(parents=True)
        folder.chmod(0o500)
    else:
        n_cells(lake)
        (entry,) = folder.iterdir()
        entry.unlink()
        entry.mkdir()
        made.clear()
    assert [n_cells(lake), n_cells(lake)] == [3, 3]
    assert len(made) == 2
    if obstacle == "a file":
        assert folder.parent.read_text() == "mine"


def test_a_full_disk_leaves_no_entry(folder, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    assert cache.get_or_make("key", lambda: b"content") == b"content"
    assert list(folder.iterdir()) == []


def test_the_cache_can_be_turned_off(lake, made, monkeypatch, tmp_path):
    monkeypatch.setenv("SIGDB_CACHE_DIR", "")
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert [n_cells(lake), n_cells(lake)] == [3, 3]
    assert len(made) == 2
    assert set(tmp_path.iterdir()) == before


def test_the_default_folder_is_the_cache_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("SIGDB_CACHE_DIR", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert cache.cache_folder() == tmp_path / "sigdb" / "lakes"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: Path("~/.cache", name))
    assert cache.cache_folder() is None, "without a home folder, nothing is written to the current one"


def test_recently_used_entries_stay(folder, monkeypatch):
    monkeypatch.setattr(cache, "ENTRIES", 3)
    for number in range(3):
        cache.get_or_make(f"entry {number}", lambda: b"content")
        os.utime(folder / f"entry {number}", (number, number))
    (folder / "left by a killed process.part").write_bytes(b"")
    os.utime(folder / "left by a killed process.part", (0, 0))
    assert cache.get_or_make("entry 0", lambda: b"made again") == b"content"
    cache.get_or_make("new", lambda: b"content")
    assert {path.name for path in folder.iterdir()} == {"entry 0", "entry 2", "new"}


def test_files_are_checked_each_time(lake, folder):
    """The file is also checked if the entry exists, since its views may name files that are missing."""
    n_cells(lake)
    (path,) = (lake / "genes").iterdir()
    held = path.read_bytes()
    path.unlink()
    with pytest.raises(AtlasError, match=r"1 of 22 files are missing or cut off .*genes/"):
        sigdb.connect(lake)
    path.write_bytes(b"x" * len(held))
    with pytest.raises(AtlasError, match=r"cannot be read: .*genes/"):
        sigdb.connect(lake)
    path.write_bytes(held)
    assert n_cells(lake) == 3


OPEN = """
import sys, sigdb
with sigdb.connect(sys.argv[1]) as con:
    print(con.sql("SELECT count(*) FROM cells").fetchall())
"""


@pytest.mark.slow
def test_several_processes_and_threads_at_once(lake, folder):
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, lake], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(n_cells, [lake] * 6)) == [3] * 6
    assert [process.communicate()[0] for process in processes] == ["[(3,)]\n"] * 3
    (entry,) = folder.iterdir()
    assert cache.read_entry(entry) is not None
