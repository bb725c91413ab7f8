"""Create an atlas: it appears complete or not at all, and never replaces another one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

import sigdb
from ingest.store.study import study_session
from sigdb import Atlas
from sigdb.atlas import empty, writer
from sigdb.errors import AtlasError, AtlasLockedError
from tests.support.toy import fingerprint, make_toy

HOLD = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new.duckdb"


@contextmanager
def held_open(path):
    """Have another process open the file for writing."""
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        yield
        other.stdin.close()


def grow(path, *statements):
    """Run an ingest that fails after some statements."""
    with study_session(path) as (atlas, _):
        for statement in statements:
            atlas.con.execute(statement)
        raise ZeroDivisionError


@pytest.fixture
def overtaken(path, monkeypatch):
    """While the next atlas is created, another process creates one with the same name."""
    original = writer.write_empty

    def slower(unfinished):
        monkeypatch.setattr(writer, "write_empty", original)
        make_toy(path)
        original(unfinished)

    monkeypatch.setattr(writer, "write_empty", slower)


@pytest.fixture
def no_hard_links(monkeypatch):
    def refuse(*args):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("make", [Atlas.create, Atlas.open_or_create, grow])
def test_the_slower_of_two_leaves_the_atlas_of_the_other(toy_path, path, overtaken, make):
    with pytest.raises(AtlasError, match=r"new\.duckdb was created by another process in the meantime"):
        make(path)
    assert fingerprint(path)["attributions"] == fingerprint(toy_path)["attributions"]
    assert list(path.parent.iterdir()) == [path]


def test_a_second_atlas_is_like_the_first_but_has_its_own_time(path, monkeypatch):
    """One process makes the contents of an empty file only once."""
    Atlas.create(path).close()
    later = datetime(2101, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(empty, "datetime", SimpleNamespace(now=lambda zone: later))
    monkeypatch.setattr(empty.schema, "install", None)
    with Atlas.create(path.with_name("second.duckdb")) as atlas:
        atlas.con.execute("CREATE TABLE mine AS SELECT 1 AS a")
    Atlas.create(path.with_name("third.duckdb")).close()
    first, third = fingerprint(path), fingerprint(path.with_name("third.duckdb"))
    info = [dict(each.pop("atlas_info")) for each in (first, third)]
    assert first == third
    assert info[1].pop("created") == "2101-01-01T00:00:00+00:00" != info[0].pop("created")
    assert info[0] == info[1]


@pytest.mark.usefixtures("no_hard_links")
def test_without_hard_links(path):
    Atlas.create(path).close()
    assert list(path.parent.iterdir()) == [path]
    with sigdb.connect(path) as con:
        assert con.execute("SELECT count(*) FROM genes").fetchall() == [(0,)]


@pytest.mark.usefixtures("no_hard_links")
def test_the_slower_of_two_without_hard_links(path, overtaken):
    with pytest.raises(AtlasError, match="created by another process"):
        Atlas.create(path)
    assert list(path.parent.iterdir()) == [path]


def test_an_atlas_that_another_process_opens_first_stays(path, monkeypatch):
    Atlas.create(path).close()
    made = path.read_bytes()
    path.unlink()

    def open_for_writing(self, path):
        with held_open(path):
            original(self, path)

    original = Atlas.__init__
    monkeypatch.setattr(Atlas, "__init__", open_for_writing)
    with pytest.raises(AtlasLockedError, match="open in another process"):
        grow(path)
    assert len(path.read_bytes()) == len(made)


def test_a_new_atlas_is_removed_with_its_log_after_an_error(path):
    with pytest.raises(ZeroDivisionError):
        grow(path, "CREATE TABLE mine AS SELECT 1 AS a")
    assert list(path.parent.iterdir()) == []


def test_an_existing_atlas_stays_after_an_error(path):
    Atlas.create(path).close()
    with pytest.raises(ZeroDivisionError):
        grow(path)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("make", [Atlas.create, Atlas.open_or_create, grow])
def test_the_log_of_a_missing_atlas_is_not_used(path, make):
    log = path.with_name("new.duckdb.wal")
    with Atlas.create(path) as atlas:
        atlas.con.execute("INSERT INTO sigdb_data.genes VALUES (0, 'MINE', NULL)")
        shutil.copy(log, log.with_suffix(".kept"))
    path.unlink()
    log.with_suffix(".kept").rename(log)
    before = log.read_bytes()
    with pytest.raises(AtlasError, match=r"new\.duckdb\.wal is the log of an atlas that does not exist\. Put .* back"):
        make(path)
    assert list(path.parent.iterdir()) == [log]
    assert log.read_bytes() == before
