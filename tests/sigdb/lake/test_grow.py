"""Write to a lake directly: what it shows, when it shows it, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import sigdb
from sigdb import Signature, cli
from sigdb.errors import AtlasError, SignatureError
from sigdb.lake import manifest
from sigdb.lake.grow import growing_lake, open_writable
from tests.support.lakes import QUERIES, assert_same, copy_grown_lake, copy_two_runs


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    return copy_two_runs(tmp_path_factory.mktemp("two") / "two.duckdb")


@pytest.fixture
def lake(tmp_path):
    """The lake of an atlas after a growth that added nothing: the lake now belongs to no atlas."""
    return copy_grown_lake(tmp_path / "lake")


def rows(path, query):
    with sigdb.connect(path) as con:
        return con.execute(query).fetchall()


def add_then_fail(atlas, known):
    """Add a signature, then fail to add another one."""
    atlas.add_signatures([Signature("LOST", ("GENE02",))])
    atlas.add_signatures([Signature("LOST TOO", ("GENE02",)), known])


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_a_grown_lake_shows_what_it_showed_before(lake, two_runs, name):
    assert_same(rows(lake, QUERIES[name]), rows(two_runs, QUERIES[name]))


def test_files_that_have_not_changed_are_kept(lake):
    before = {file.path for file in manifest.read(str(lake)).files}
    with growing_lake(lake) as grown:
        grown.publish()
    assert {file.path for file in manifest.read(str(lake)).files} == before


@pytest.mark.slow
def test_changes_in_a_block_appear_at_its_end(lake, two_runs, tmp_path):
    """Signatures are added, materialised and viewed as in an atlas. An error in the block undoes all of it."""
    new = Signature("NEW", ("GENE02", "GENE14"), (1.0, 2.0))
    atlas = tmp_path / "same.duckdb"
    shutil.copy(two_runs, atlas)
    for path in (atlas, lake):
        with open_writable(path) as opened:
            opened.add_signatures([new])
            opened.materialize(["NEW"])
            opened.add_views(["NEW"])
            assert "NEW" not in str(rows(lake, "SELECT signature FROM signature_info"))
    for query in (
        "SELECT signature, cell_id, score FROM signature_scores(['NEW']) ORDER BY ALL",
        'SELECT cell_id, score FROM cell_scores."NEW" ORDER BY ALL',
        "SELECT signature FROM materialized_signatures ORDER BY ALL",
    ):
        assert_same(rows(lake, query), rows(atlas, query))
    before = manifest.read(str(lake))
    with pytest.raises(SignatureError, match="1 of 2 signatures"), open_writable(lake) as opened:
        add_then_fail(opened, new)
    assert manifest.read(str(lake)) == before


@pytest.mark.slow
def test_on_the_command_line(lake, two_runs, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.txt").write_text("GENE02\nGENE14\n")
    monkeypatch.setattr(sys, "argv", ["sigdb", "signatures", "add", str(lake), str(tmp_path / "mine.txt")])
    cli.app(standalone_mode=False)
    assert "Added 1 signature of 2 genes: mine." in capsys.readouterr().out
    assert rows(lake, "SELECT gene FROM signatures WHERE signature = 'mine' ORDER BY ALL") == [("GENE02",), ("GENE14",)]
    sigdb.export_lake(two_runs, tmp_path / "export")
    with (
        pytest.raises(
            AtlasError,
            match=r"is an export of an atlas\. Write to the atlas, and export it again with `sigdb\.export_lake",
        ),
        open_writable(tmp_path / "export"),
    ):
        pass


def test_a_grown_lake_is_not_an_export(lake, two_runs, tmp_path):
    assert manifest.read(str(lake)).atlas_created is None
    with pytest.raises(AtlasError, match=r"Studies were added to the lake .* itself, and .* may lack them"):
        sigdb.export_lake(two_runs, lake)
    sigdb.import_lake(lake, tmp_path / "imported.duckdb")
    assert rows(tmp_path / "imported.duckdb", QUERIES["whole"]) == rows(two_runs, QUERIES["whole"])


def test_only_one_process_writes_at_a_time(lake):
    with growing_lake(lake), pytest.raises(AtlasError, match=r"Another export to .* is running"), growing_lake(lake):
        pass


def test_a_new_lake(tmp_path):
    """An empty lake can be queried. A lake without a manifest is removed after an error."""
    with growing_lake(tmp_path / "lake", genes_per_bucket=64) as grown:
        grown.publish()
    assert rows(tmp_path / "lake", "SELECT count(*) FROM attributions") == [(0,)]
    assert manifest.read(str(tmp_path / "lake")).genes_per_bucket == 64
    with (
        pytest.raises(AtlasError, match=r"hold 64 genes each\. .*cannot change that to `genes_per_bucket=8`"),
        growing_lake(tmp_path / "lake", genes_per_bucket=8),
    ):
        pass
    with pytest.raises(ZeroDivisionError), growing_lake(tmp_path / "nothing"):
        1 / 0  # noqa: B018
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(AtlasError, match="to a lake in a folder that all machines share"), growing_lake("s3://b/lake"):
        pass


def files_and_contents(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def grow(lake):
    with growing_lake(lake) as grown:
        grown.publish()


def fail_to_grow(lake):
    with suppress(ZeroDivisionError), growing_lake(lake):
        1 / 0  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("use", [grow, fail_to_grow, "export", "export of another atlas"])
def test_a_lake_that_has_lost_its_manifest_is_left_alone(lake, two_runs, toy_path, use):
    """It is the only copy of the added studies. Taking its folder for a new lake would remove them."""
    (lake / manifest.NAME).rename(lake.parent / "kept.json")
    before = files_and_contents(lake)
    with pytest.raises(AtlasError, match=r"has lost its manifest\.json\. Put manifest\.json back from a copy"):
        use(lake) if callable(use) else sigdb.export_lake(two_runs if use == "export" else toy_path, lake)
    assert files_and_contents(lake) == before
    (lake.parent / "kept.json").rename(lake / manifest.NAME)
    grow(lake)


def test_a_lake_without_a_note_that_it_had_a_manifest(lake):
    """The process that published the lake was killed before it wrote the note. The next call writes the note."""
    (lake / manifest.MARK).write_text("")
    fail_to_grow(lake)
    (lake / manifest.NAME).unlink()
    with pytest.raises(AtlasError, match=r"has lost its manifest\.json"):
        grow(lake)


def test_an_error_removes_only_what_the_call_made(tmp_path):
    """A folder that existed before stays, and so do the files of an interrupted export."""
    (tmp_path / "empty").mkdir()
    inode = (tmp_path / "empty").stat().st_ino
    fail_to_grow(tmp_path / "empty")
    assert (tmp_path / "empty").stat().st_ino == inode
    assert files_and_contents(tmp_path / "empty") == {}
    (tmp_path / "begun" / "genes").mkdir(parents=True)
    (tmp_path / "begun" / manifest.MARK).write_text("")
    (tmp_path / "begun" / "genes" / "a.parquet").write_text("rows")
    before = files_and_contents(tmp_path / "begun")
    fail_to_grow(tmp_path / "begun")
    assert files_and_contents(tmp_path / "begun") == before | {Path(manifest.LOCK): b""}


def edit_manifest(lake, **changes):
    path = lake / manifest.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


FLAWS = {
    "an older schema": (
        lambda lake: edit_manifest(lake, schema_version=1, sigdb_version="0.0.7"),
        r"with the sigdb that wrote it, version 0\.0\.7 \(`sigdb\.import_lake.* and upgrade the",
    ),
    "a missing file": (
        lambda lake: next(lake.glob("genes/*.parquet")).unlink(),
        r"Put these files back from a copy of the lake\. Studies were added to it, and no atlas file has them\.",
    ),
    "a manifest that was cut off": (
        lambda lake: (lake / manifest.NAME).write_text("{"),
        r"Put manifest\.json back from a copy of the lake, and remove nothing",
    ),
    "another format": (
        lambda lake: edit_manifest(lake, format_version=9),
        r"this sigdb reads format 1\. Update the source",
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_no_message_advises_to_remove_or_export_a_grown_lake(lake, flaw):
    damage, message = FLAWS[flaw]
    damage(lake)
    with pytest.raises(AtlasError, match=message) as caught:
        sigdb.connect(lake)
    assert not re.search("Remove|export the atlas|sigdb export|export_lake|check=True", str(caught.value))


def test_files_that_vanish_or_appear_while_others_are_removed(lake, monkeypatch):
    """Late tasks remove or write files in the meantime. The lake is published anyway."""
    gone = lake / "attributions" / "run_id=7" / "gone.part"
    monkeypatch.setattr(manifest, "files_on_disk", lambda made: [gone])
    grow(lake)
    assert manifest.read(str(lake)).atlas_created is None
