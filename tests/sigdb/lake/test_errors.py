"""Damaged lakes: Python and every command report what is wrong. Lakes work in folders of any name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import sigdb
from sigdb import Atlas, attach_lake, export_lake, import_lake
from sigdb.cli import app
from sigdb.errors import AtlasError
from sigdb.lake import manifest
from tests.support.lakes import copy_toy_lake, split
from tests.support.toy import TOY_GENES, fingerprint, write_study

pytestmark = pytest.mark.file_only("it makes lakes of its own")


@pytest.fixture
def whole(tmp_path):
    return copy_toy_lake(tmp_path / "lake")


def edit_manifest(folder, change):
    path = folder / manifest.NAME
    held = json.loads(path.read_text())
    change(held)
    path.write_text(json.dumps(held))


def file_of(folder, table):
    (path,) = (folder / table).rglob("*.parquet")
    return path


def drop_from_manifest(folder, table):
    edit_manifest(folder, lambda held: held.update(files=[file for file in held["files"] if file["table"] != table]))


DAMAGE = {
    "no manifest": (
        lambda lake: [(lake / manifest.NAME).unlink(), (lake / manifest.MARK).write_text("")],
        "an unfinished lake: it has no manifest",
    ),
    "a manifest that was lost": (
        lambda lake: (lake / manifest.NAME).unlink(),
        r"a lake that has lost its manifest\.json\. Put manifest\.json back .* and remove nothing",
    ),
    "a manifest that was cut off": (
        lambda lake: (lake / manifest.NAME).write_bytes((lake / manifest.NAME).read_bytes()[:500]),
        "is not the manifest of a lake",
    ),
    "a manifest in no encoding": (
        lambda lake: (lake / manifest.NAME).write_bytes(b'{"format": "\xff"}'),
        r"is not the manifest of a lake: .*utf-8.* Put manifest\.json back .* and remove nothing",
    ),
    "another format": (
        lambda lake: edit_manifest(lake, lambda held: held.update(format_version=9)),
        r"is a lake of format 9; this sigdb reads format 1\. Update the source of sigdb",
    ),
    "a newer schema": (
        lambda lake: edit_manifest(lake, lambda held: held.update(schema_version=99)),
        r"has atlas schema 99; this sigdb knows schemas up to .*Update the source of sigdb",
    ),
    "an older schema": (
        lambda lake: edit_manifest(lake, lambda held: held.update(schema_version=1)),
        r"has atlas schema 1; .* Upgrade the atlas that it comes from with `sigdb\.upgrade\(atlas\)`, and export that",
    ),
    "a schema that is no number": (
        lambda lake: edit_manifest(lake, lambda held: held.update(schema_version="3")),
        "is not the manifest of a lake: '3' is not the number of a schema",
    ),
    "a table without files": (
        lambda lake: drop_from_manifest(lake, "genes"),
        "is not the manifest of a lake: it lacks either the columns or the files of genes",
    ),
    "files of a table without columns": (
        lambda lake: edit_manifest(lake, lambda held: held["columns"].pop("genes")),
        "is not the manifest of a lake: it lacks either the columns or the files of genes",
    ),
    "a table that it does not know of": (
        lambda lake: [
            drop_from_manifest(lake, "genes"),
            edit_manifest(lake, lambda held: held["columns"].pop("genes")),
        ],
        "The lake .* (cannot be read: .* genes does not exist|lacks 1 of 22 tables of an atlas: genes)",
    ),
    "a file twice": (
        lambda lake: edit_manifest(lake, lambda held: held["files"].append(held["files"][0])),
        "is not the manifest of a lake: it names a file twice",
    ),
    "a missing table": (
        lambda lake: shutil.rmtree(lake / "genes"),
        "1 of 22 files are missing or cut off in the lake .*: genes/.*export_lake.atlas, .*, check=True.` writes these",
    ),
    "a missing file of attributions": (
        lambda lake: file_of(lake, "attributions").unlink(),
        "1 of 22 files are missing or cut off in the lake .*: attributions/run_id=0/gene_bucket=0/",
    ),
    "a file that was cut off": (
        lambda lake: file_of(lake, "cell_data").write_bytes(file_of(lake, "cell_data").read_bytes()[:-1]),
        "1 of 22 files are missing or cut off in the lake .*: cell_data/",
    ),
    "a file that is another": (
        lambda lake: file_of(lake, "genes").write_bytes(b"x" * file_of(lake, "genes").stat().st_size),
        "The lake .* cannot be read: .*genes/|1 of 22 files are damaged in the lake .*: genes/",
    ),
}
COMMANDS = (
    ["sql", "LAKE", "SELECT count(*) FROM attributions"],
    ["score", "LAKE", "CD3E"],
    ["info", "LAKE"],
    ["verify", "LAKE"],
    ["attach-lake", "LAKE", "made.duckdb"],
    ["import-lake", "LAKE", "made.duckdb"],
)


@pytest.mark.parametrize("case", DAMAGE)
def test_every_command_says_what_is_wrong(whole, monkeypatch, case):
    damage, message = DAMAGE[case]
    damage(whole)
    monkeypatch.chdir(whole.parent)
    for command in COMMANDS:
        result = CliRunner().invoke(app, [str(whole) if word == "LAKE" else word for word in command])
        assert isinstance(result.exception, AtlasError), (command, result.exception)
        with pytest.raises(AtlasError, match=message):
            raise result.exception
        assert "3" not in result.stdout, "nothing is served"
    assert [path.name for path in whole.parent.iterdir()] == ["lake"]


@pytest.mark.parametrize("case", ["no manifest", "a missing table", "a file that was cut off"])
def test_an_export_repairs_the_lake(whole, toy_path, case):
    DAMAGE[case][0](whole)
    CliRunner().invoke(app, ["export", str(toy_path), str(whole)], catch_exceptions=False)
    manifest.check_sums(manifest.read(str(whole)))


@pytest.mark.parametrize("damage", ["a flipped byte", "a file of another lake"])
def test_damage_that_only_a_checksum_shows(whole, toy_path, tmp_path, damage):
    """verify and import-lake compare checksums. The size does not change."""
    path = file_of(whole, "attributions")
    held = bytearray(path.read_bytes())
    if damage == "a flipped byte":
        held[20] ^= 1
    else:
        copy = shutil.copy(toy_path, tmp_path / "other.duckdb")
        with Atlas(copy) as atlas:
            atlas.con.execute("UPDATE sigdb_data.attributions SET score = 7 WHERE score = 6")
        export_lake(copy, tmp_path / "other")
        held = file_of(tmp_path / "other", "attributions").read_bytes()
    assert len(held) == path.stat().st_size
    path.write_bytes(held)
    for command in (["verify", str(whole)], ["import-lake", str(whole), str(tmp_path / "made.duckdb")]):
        result = CliRunner().invoke(app, command)
        with pytest.raises(AtlasError, match=r"1 of 22 files are damaged in the lake .*: attributions/"):
            raise result.exception
    assert not (tmp_path / "made.duckdb").exists()
    CliRunner().invoke(app, ["export", str(toy_path), str(whole), "--check"], catch_exceptions=False)
    manifest.check_sums(manifest.read(str(whole)))


def test_a_file_that_shows_a_lake_that_was_exported_again(whole, toy_path, tmp_path):
    """After another study, the files of most tables have other names, and no query mixes old and new files."""
    attach_lake(whole, tmp_path / "shown.duckdb")
    before = duckdb.connect(tmp_path / "shown.duckdb", read_only=True)
    copy = shutil.copy(toy_path, tmp_path / "copy.duckdb")
    with Atlas(copy) as atlas:
        write_study(atlas, np.ones((2, 3)), TOY_GENES, study="more")
    export_lake(copy, whole)
    with before, pytest.raises(duckdb.Error, match="attributions"):
        before.execute("SELECT count(*) FROM attributions").fetchall()
    result = CliRunner().invoke(app, ["sql", str(tmp_path / "shown.duckdb"), "FROM attributions", "--trusted"])
    with pytest.raises(
        AtlasError, match=r"shown.duckdb cannot be read: .* make it again with `sigdb\.attach_lake\(lake, path\)`"
    ):
        raise result.exception
    (tmp_path / "shown.duckdb").unlink()
    attach_lake(whole, tmp_path / "shown.duckdb")
    with sigdb.connect(tmp_path / "shown.duckdb", trusted=True) as con:
        assert con.execute("SELECT count(*) FROM cells").fetchall() == [(5,)]


ODD = ['it\'s a "lake"; --', "[odd]", "any*", "one?", "[", "{a,b}", "back\\slash", "$1 %41 ~", "x=1", "é"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_a_lake_in_a_folder_of_any_name(toy_path, tmp_path, name):
    """Next to the lake are folders that its name would match if it were a pattern."""
    for folder in ("anything", "oneX", "o"):
        shutil.copytree(export(toy_path, tmp_path / "plain"), tmp_path / folder / "lake")
    lake = export(toy_path, tmp_path / name / "lake")
    assert_whole(lake, tmp_path)


def export(path, folder):
    if not folder.exists():
        export_lake(path, folder)
    return folder


def assert_whole(lake, folder):
    """Check that a lake has the rows of the toy atlas when it is opened, attached and imported."""
    attach_lake(lake, folder / "attached.duckdb")
    import_lake(lake, folder / "imported.duckdb")
    for path in (lake, folder / "attached.duckdb", folder / "imported.duckdb"):
        with sigdb.connect(path, trusted=True) as con:
            query = "SELECT count(*), sum(score), max(run_id) FROM attributions"
            assert con.execute(query).fetchall() == [(3, 13.0, 0)]
            assert con.execute("SELECT count(*) FROM cells").fetchall() == [(3,)]


@pytest.mark.parametrize("name", ["run_id=9", "Gene_ID=1"])
def test_a_folder_that_duckdb_takes_for_a_column(toy_path, tmp_path, name):
    """DuckDB would take the value in the name for the run or gene of every row."""
    lake = tmp_path / name / "lake"
    with pytest.raises(AtlasError, match=f"below a folder called {name}, which DuckDB takes for the column"):
        export_lake(toy_path, lake)
    assert not lake.parent.exists()
    shutil.copytree(export(toy_path, tmp_path / "plain"), lake)
    for use in (sigdb.connect, lambda lake: attach_lake(lake, tmp_path / "attached.duckdb")):
        with pytest.raises(AtlasError, match=f"below a folder called {name}.* or rename that folder"):
            use(lake)


def test_relative_paths_and_links(toy_path, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("elsewhere")
    for lake in ("link", "./plain/../plain", "deep/lake/"):
        export_lake(toy_path, lake)
        assert export_lake(toy_path, lake).written == 0
    attach_lake("link", "attached.duckdb")
    monkeypatch.chdir("/")
    with sigdb.connect(tmp_path / "attached.duckdb", trusted=True) as con:
        assert con.execute("SELECT count(*) FROM attributions").fetchall() == [(3,)]


@pytest.mark.parametrize("make", [attach_lake, import_lake])
def test_a_file_in_no_folder(whole, tmp_path, make):
    with pytest.raises(AtlasError, match="cannot be created: there is no folder"):
        make(whole, tmp_path / "none" / "made.duckdb")


def test_columns_in_another_order(whole, toy_path, tmp_path):
    """Other writers may have the columns in another order."""
    path = file_of(whole, "cell_data")
    rows = pq.read_table(path, partitioning=None)
    pq.write_table(rows.select(rows.column_names[::-1]), path)
    changed = {"bytes": path.stat().st_size, "sha256": manifest.checksum(path)}
    edit_manifest(whole, lambda held: [file.update(changed) for file in held["files"] if file["table"] == "cell_data"])
    import_lake(whole, tmp_path / "imported.duckdb")
    assert fingerprint(tmp_path / "imported.duckdb") == fingerprint(toy_path)


def test_tables_of_several_files(toy_path, tmp_path):
    """Other writers may make several files per table. The next export of the atlas replaces them by its own."""
    export_lake(toy_path, tmp_path / "lake")
    split(tmp_path / "lake")
    found = manifest.read(str(tmp_path / "lake"))
    assert len(found.files_of("attributions")) == len(found.files_of("cell_data")) == 2
    manifest.check_sums(found)
    assert_whole(tmp_path / "lake", tmp_path)
    assert export_lake(toy_path, tmp_path / "lake").written > 10
    assert len(manifest.read(str(tmp_path / "lake")).files_of("cell_data")) == 1


def test_what_does_not_fit_into_memory_waits_on_disk(whole, tmp_path, monkeypatch):
    """DuckDB uses a folder that is removed with the connection."""
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spill))
    con = sigdb.connect(whole)
    con.execute("SET threads = 1")
    con.execute("SET memory_limit = '60MB'")
    query = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY hash(i), i) AS n FROM range(4_000_000) AS t(i))"
    assert con.execute(query).fetchall() == [(4_000_000,)]
    assert list(spill.iterdir()), "it did fit"
    con.close()
    assert not list(spill.iterdir())
