"""Files that are not the lake's: behind links, or of other names. They are neither written to nor removed nor read."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress

import pytest

import sigdb
from sigdb import attach_lake, export_lake, import_lake
from sigdb.errors import AtlasError, SigdbError
from sigdb.lake import manifest
from sigdb.lake.grow import growing_lake
from tests.support.lakes import copy_grown_lake, copy_toy_lake

pytestmark = pytest.mark.file_only("it makes lakes of its own")
DIGEST = "0123456789abcdef" * 2


@pytest.fixture
def lake(tmp_path):
    return copy_toy_lake(tmp_path / "lake")


def listing(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def behind_a_link(path, mine):
    """Move a file or folder of the lake to a folder of the user, and put a link in its place."""
    mine.mkdir(exist_ok=True)
    (mine / f"{DIGEST}.parquet").write_text("a thesis")
    (mine / "film.part").write_text("a film")
    if path.is_dir():
        shutil.copytree(path, mine, dirs_exist_ok=True)
        shutil.rmtree(path)
        path.symlink_to(mine)
    else:
        path.unlink(missing_ok=True)
        path.symlink_to(mine / "film.part")


LINKS = {
    "a table": lambda lake: lake / "genes",
    "the attributions": lambda lake: lake / "attributions",
    "a run": lambda lake: lake / "attributions" / "run_id=0",
    "a file": lambda lake: next((lake / "genes").iterdir()),
    "an unfinished file": lambda lake: next((lake / "genes").iterdir()).with_suffix(".part"),
    "the manifest": lambda lake: lake / manifest.NAME,
    "the unfinished manifest": lambda lake: lake / manifest.UNFINISHED,
    "the mark": lambda lake: lake / manifest.MARK,
    "the lock": lambda lake: lake / manifest.LOCK,
}


@pytest.mark.parametrize("case", LINKS)
def test_an_export_does_not_follow_links(lake, toy_path, tmp_path, case):
    link = LINKS[case](lake)
    behind_a_link(link, tmp_path / "mine")
    before = listing(tmp_path / "mine")
    with pytest.raises(
        AtlasError, match=rf"{link} is a symbolic link\. The files and folders of a lake must be its own"
    ):
        export_lake(toy_path, lake)
    assert listing(tmp_path / "mine") == before
    if case in ("a table", "the attributions", "a run", "a file", "the manifest"):
        for read in (sigdb.connect, lambda path: import_lake(path, tmp_path / "made.duckdb")):
            with pytest.raises(AtlasError, match="is a symbolic link"):
                read(lake)


@pytest.mark.slow
def test_a_lake_that_grows_does_not_follow_links(tmp_path):
    lake = copy_grown_lake(tmp_path / "lake")
    with growing_lake(lake) as grown:
        behind_a_link(lake / "signatures", tmp_path / "mine")
        before = listing(tmp_path / "mine")
        with pytest.raises(AtlasError, match="signatures is a symbolic link"):
            grown.publish()
    assert listing(tmp_path / "mine") == before


def test_the_folder_of_a_lake_may_be_a_link(lake, toy_path, tmp_path):
    (tmp_path / "link").symlink_to(lake)
    assert export_lake(toy_path, tmp_path / "link").written == 0
    with sigdb.connect(tmp_path / "link") as con:
        assert con.sql("SELECT count(*) FROM cells").fetchall() == [(3,)]


def test_only_files_with_names_of_a_lake_are_removed(lake, toy_path, tmp_path):
    """Old and unfinished files of the lake are removed; others stay, in the folders of the tables too."""
    ours = [f"genes/{DIGEST}.parquet", f"genes/{DIGEST}.part", f"attributions/run_id=7/gene_bucket=0/{DIGEST}.parquet"]
    others = ["genes/my.parquet", "genes/notes.txt", f"mine/{DIGEST}.parquet", f"genes/a/b/{DIGEST}.parquet", "x.part"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f"{DIGEST}.parquet").write_text("mine")
    (lake / "attributions" / "run_id=8").symlink_to(tmp_path / "elsewhere")
    before = listing(lake)
    for name in (*ours, *others):
        (lake / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / name).write_text("x")
    export_lake(toy_path, lake)
    assert listing(lake).keys() == before.keys() | set(others)
    assert (tmp_path / "elsewhere" / f"{DIGEST}.parquet").exists()
    assert not (lake / "attributions" / "run_id=7").exists()


@pytest.mark.parametrize("existed", [True, False])
def test_a_new_lake_that_fails_leaves_files_of_others(tmp_path, existed):
    lake = tmp_path / "lake"
    if existed:
        lake.mkdir()
    with suppress(ZeroDivisionError), growing_lake(lake):
        (lake / "genes").mkdir()
        (lake / "genes" / f"{DIGEST}.part").write_text("x")
        (lake / "notes.txt").write_text("mine")
        raise ZeroDivisionError
    assert [path.name for path in lake.rglob("*")] == ["notes.txt"]


def change_file(**changes):
    return lambda held: held["files"][0].update(changes)


MANIFESTS = {
    "a path that leads out": change_file(path=f"../genes/{DIGEST}.parquet"),
    "a path that leads out, later": change_file(path=f"genes/../../{DIGEST}.parquet"),
    "an absolute path": change_file(path="/etc/passwd"),
    "an address": change_file(path="https://example.org/a.parquet"),
    "a pattern": change_file(path="genes/*.parquet"),
    "another file of the lake": change_file(path="manifest.json"),
    "another table": change_file(path=f"other/{DIGEST}.parquet"),
    "a path that is no text": change_file(path=[]),
    "rows that are no number": change_file(rows="3"),
    "a negative size": change_file(bytes=-1),
    "a table that leads out": lambda held: held["columns"].update({"../x": {}}),
    "a table without columns": lambda held: held["columns"].update(genes=3),
    "a type that is no text": lambda held: held["columns"]["genes"].update(gene_id=None),
    "columns that are a list": lambda held: held.update(columns=[]),
    "views that are no list": lambda held: held.update(signature_views={"S": 1}),
    "a bucket of no genes": lambda held: held.update(genes_per_bucket=0),
    "files that are no list": lambda held: held.update(files={}),
    "a file that is a list": lambda held: held["files"].append([]),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_from_somebody_else(lake, toy_path, tmp_path, case):
    """Every command refuses it, and no file is touched."""
    held = json.loads((lake / manifest.NAME).read_text())
    MANIFESTS[case](held)
    (lake / manifest.NAME).write_text(json.dumps(held))
    before = listing(tmp_path)
    for use in (
        sigdb.connect,
        lambda path: import_lake(path, tmp_path / "made.duckdb"),
        lambda path: attach_lake(path, tmp_path / "made.duckdb"),
        lambda path: export_lake(toy_path, path),
    ):
        with pytest.raises(AtlasError, match=r"is not the manifest of a lake: "):
            use(lake)
    assert listing(tmp_path) == before


def test_a_deep_manifest(lake):
    (lake / manifest.NAME).write_text('{"format":' * 100_000)
    with pytest.raises(AtlasError, match="is not the manifest of a lake: maximum recursion depth"):
        sigdb.connect(lake)


def test_a_column_of_a_type_that_does_not_exist(lake, tmp_path):
    held = json.loads((lake / manifest.NAME).read_text())
    held["columns"]["cell_data"]["age"] = "INTEGER); DROP TABLE x; --"
    (lake / manifest.NAME).write_text(json.dumps(held))
    with pytest.raises(SigdbError, match="column 'age' of cell_data has an unknown type"):
        import_lake(lake, tmp_path / "made.duckdb")
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
