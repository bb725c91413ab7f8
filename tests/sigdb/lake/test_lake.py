"""A lake is an atlas as Parquet: what is written and when, and that incomplete lakes are refused."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

import sigdb
from sigdb import Atlas, Signature, attach_lake, export_lake, import_lake
from sigdb.atlas.verify import verify
from sigdb.errors import AtlasError, AtlasNotFoundError, AtlasVersionError
from sigdb.lake import export, files, manifest
from tests.sql.test_headers import OBJECTS, as_text
from tests.support.lakes import QUERIES, assert_same, copy_toy_lake, copy_two_runs, copy_two_runs_lake
from tests.support.toy import MACROS, TOY_GENES, fingerprint, make_toy, new_atlas, write_study

pytestmark = pytest.mark.file_only("it makes lakes of its own, and compares them with the atlas file")


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    return copy_two_runs(tmp_path_factory.mktemp("lake") / "it's two runs.duckdb")


@pytest.fixture
def copy(two_runs, tmp_path):
    return Path(shutil.copy(two_runs, tmp_path / two_runs.name))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lake of `two_runs`, in files of 8 genes; read-only by agreement."""
    return copy_two_runs_lake(tmp_path_factory.mktemp("whole") / "it's a lake")


@pytest.fixture(scope="module")
def attached(whole, tmp_path_factory):
    """A connection to a file that shows the lake."""
    path = tmp_path_factory.mktemp("attached") / "attached.duckdb"
    attach_lake(whole, path)
    with sigdb.connect(path, trusted=True) as con:
        yield con


@pytest.fixture
def damaged(whole, tmp_path):
    """A copy of the lake that a test damages."""
    return Path(shutil.copytree(whole, tmp_path / "lake"))


@pytest.fixture(scope="module")
def toy_lake(tmp_path_factory):
    """A connection to the lake of the toy atlas."""
    with sigdb.connect(copy_toy_lake(tmp_path_factory.mktemp("toy") / "toy")) as con:
        yield con


# The files of a lake that are not named by its manifest.
LASTING = {manifest.NAME, manifest.MARK, manifest.LOCK}


def names(folder):
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each.kind}-{each.name}")
def test_every_example_of_a_header_gives_the_same(toy_lake, each):
    assert [as_text(value) for (value,) in toy_lake.execute(each.example).fetchall()] == [each.expected]


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_lake_answers_as_the_atlas_does(two_runs, attached, query):
    with sigdb.connect(two_runs) as con:
        assert_same(attached.execute(query).fetchall(), con.execute(query).fetchall())


def test_python_functions_answer_as_on_the_atlas(two_runs, whole):
    with sigdb.connect(two_runs) as atlas, sigdb.connect(whole) as con, sigdb.connect(whole) as second:
        assert sigdb.score(con, ["GENE03"]).equals(sigdb.score(atlas, ["GENE03"]))
        query = "SELECT sum(signature_score_py(cell_id, 'S')) FROM cells"
        assert con.execute(query).fetchall() == second.execute(query).fetchall() == atlas.execute(query).fetchall()


def test_types_comments_and_macros_are_those_of_the_atlas(two_runs, whole):
    queries = (
        "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() ORDER BY ALL",
        MACROS,
        "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name <> 'sigdb_data' ORDER BY ALL",
    )
    with sigdb.connect(two_runs) as atlas, sigdb.connect(whole) as con:
        for query in queries:
            assert con.execute(query).fetchall() == atlas.execute(query).fetchall()
        tables = "SELECT table_name, comment FROM duckdb_tables() ORDER BY ALL"
        views = "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'sigdb_data' ORDER BY ALL"
        assert con.execute(views).fetchall() == atlas.execute(tables).fetchall()
        assert {each.check for each in verify(con) if each.n} == {each.check for each in verify(atlas) if each.n}


def test_how_the_files_are_written(whole):
    found = manifest.read(str(whole))
    files = found.files_of("attributions")
    buckets = [(run, bucket) for run in (0, 1) for bucket in range(5)]
    assert [(file.run_id, file.gene_bucket) for file in files] == buckets
    for file in files:
        assert file.path.startswith(f"attributions/run_id={file.run_id}/gene_bucket={file.gene_bucket}/")
        read = pq.ParquetFile(whole / file.path)
        columns = read.schema_arrow.names
        row_group = read.metadata.row_group(0)
        encodings = {name: set(row_group.column(i).encodings) for i, name in enumerate(columns)}
        assert columns == ["gene_id", "cell_id", "score"]
        assert "DELTA_BINARY_PACKED" in encodings["cell_id"]
        assert "BYTE_STREAM_SPLIT" in encodings["score"]
        assert all(row_group.column(i).compression == "ZSTD" for i in range(3))
        assert row_group.column(0).statistics.min // 8 == row_group.column(0).statistics.max // 8 == file.gene_bucket
        assert row_group.column(1).has_column_index
        rows = read.read()
        assert rows.equals(rows.sort_by([("gene_id", "ascending"), ("cell_id", "ascending")]))
        assert len(rows) == file.rows
    assert names(whole) == {file.path for file in found.files} | LASTING


def test_many_row_groups(two_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROW_GROUP", 1000)
    export_lake(two_runs, tmp_path / "lake")
    (file, _) = manifest.read(str(tmp_path / "lake")).files_of("attributions")
    read = pq.read_metadata(tmp_path / "lake" / file.path)
    assert [read.row_group(i).num_rows for i in range(read.num_row_groups - 1)] == [1000] * (file.rows // 1000)
    with sigdb.connect(two_runs) as atlas, sigdb.connect(tmp_path / "lake") as con:
        assert con.execute("FROM attributions").fetchall() == atlas.execute("FROM attributions").fetchall()


def test_only_what_has_changed_is_written_again(copy, tmp_path):
    folder = tmp_path / "lake"
    first = export_lake(copy, folder, genes_per_bucket=8)
    assert (first.written, first.kept) == (len(first.manifest.files), 0)
    again = export_lake(copy, folder)
    assert (again.written, again.kept) == (0, first.written)
    with Atlas(copy) as atlas:
        atlas.con.execute("UPDATE sigdb_data.attributions SET score = score + 1 WHERE gene_id = 9 AND run_id = 1")
        atlas.add_signatures([Signature("NEW", ("GENE07",))])
    third = export_lake(copy, folder)
    new = {file.path for file in third.manifest.files} - {file.path for file in first.manifest.files}
    changed = ["attributions/run_id=1/gene_bucket=1", "signature_info", "signatures"]
    assert sorted(path.rpartition("/")[0] for path in new) == changed
    assert third.written == len(new) == 3
    assert names(folder) == {file.path for file in third.manifest.files} | LASTING
    import_lake(folder, tmp_path / "imported.duckdb")
    assert fingerprint(tmp_path / "imported.duckdb") == fingerprint(copy)


def test_a_removed_study_and_run_leave_nothing_behind(copy, tmp_path):
    export_lake(copy, tmp_path / "lake", genes_per_bucket=8)
    with Atlas(copy) as atlas:
        for table in ("attributions", "attributed_cells", "attribution_summary", "group_sizes"):
            atlas.con.execute(f"DELETE FROM sigdb_data.{table} WHERE run_id = 1")
    export_lake(copy, tmp_path / "lake")
    assert not any("run_id=1" in str(path) for path in (tmp_path / "lake").rglob("*"))
    with sigdb.connect(tmp_path / "lake") as con:
        assert con.execute("SELECT DISTINCT run_id FROM attributions").fetchall() == [(0,)]


def test_an_imported_atlas_equals_the_exported_one(two_runs, whole, toy_path, tmp_path):
    import_lake(whole, tmp_path / "imported.duckdb")
    assert fingerprint(tmp_path / "imported.duckdb") == fingerprint(two_runs)
    export_lake(toy_path, tmp_path / "toy")
    told = []
    import_lake(tmp_path / "toy", tmp_path / "toy.duckdb", progress=lambda done, total: told.append((done, total)))
    assert fingerprint(tmp_path / "toy.duckdb") == fingerprint(toy_path)
    assert told[-1][0] == told[-1][1] > 0
    assert not [path for path in tmp_path.iterdir() if "importing" in path.name]
    with Atlas(tmp_path / "toy.duckdb") as atlas:
        write_study(atlas, np.ones((2, 3)), TOY_GENES, study="second")


def test_an_empty_atlas(tmp_path):
    new_atlas(tmp_path / "empty.duckdb").close()
    export_lake(tmp_path / "empty.duckdb", tmp_path / "lake")
    with sigdb.connect(tmp_path / "lake") as con:
        assert con.execute("SELECT count(*) FROM attributions").fetchall() == [(0,)]
    import_lake(tmp_path / "lake", tmp_path / "imported.duckdb")
    assert fingerprint(tmp_path / "imported.duckdb") == fingerprint(tmp_path / "empty.duckdb")


CODE = """
import sys
from sigdb.lake.export import export_lake
print(1, flush=True)
export_lake(sys.argv[1], sys.argv[2], genes_per_bucket=1)
"""


@pytest.mark.slow
def test_killed_at_any_moment(copy, tmp_path):
    """Until the end, the lake is the old one. Files that a killed export wrote are not written again."""
    folder = tmp_path / "lake"
    export_lake(copy, folder, genes_per_bucket=8)
    with Atlas(copy) as atlas:
        atlas.con.execute("UPDATE sigdb_data.attributions SET score = 2 * score")
    old = manifest.read(str(folder))
    lifetime = 0.06
    while manifest.read(str(folder)) == old:
        manifest.check_sums(old)
        with subprocess.Popen([sys.executable, "-c", CODE, copy, folder], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(lifetime)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        lifetime *= 1.4
        assert lifetime < 300
    # The last process may have been killed between replacing the manifest and removing old files.
    last = export_lake(copy, folder)
    assert last.written == 0
    assert names(folder) == {file.path for file in last.manifest.files} | LASTING
    import_lake(folder, tmp_path / "imported.duckdb")
    assert fingerprint(tmp_path / "imported.duckdb") == fingerprint(copy)


def test_interrupted_before_the_first_manifest(copy, tmp_path):
    def stop(done, total):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_lake(copy, tmp_path / "lake", genes_per_bucket=8, progress=stop)
    with pytest.raises(
        AtlasError, match=r"an unfinished lake.* Repeat the call .*`sigdb\.export_lake\(atlas, '\S+'\)`"
    ):
        sigdb.connect(tmp_path / "lake")
    done = export_lake(copy, tmp_path / "lake", genes_per_bucket=8)
    assert done.kept == 20
    assert done.written == len(done.manifest.files) - 20


@pytest.mark.slow
def test_a_reader_of_the_old_lake_gets_old_rows_or_an_error(copy, tmp_path):
    folder = tmp_path / "lake"
    export_lake(copy, folder, genes_per_bucket=8)
    attach_lake(folder, tmp_path / "old.duckdb")
    with sigdb.connect(folder) as con:
        ((before,),) = con.execute("SELECT sum(score) FROM attributions WHERE gene_id < 8").fetchall()
        with Atlas(copy) as atlas:
            atlas.con.execute("UPDATE sigdb_data.attributions SET score = 2 * score WHERE gene_id = 20")
        export_lake(copy, folder)
        for reader in (con, duckdb.connect(tmp_path / "old.duckdb")):
            with reader, pytest.raises(duckdb.Error, match=r"(?i)no files found|cannot open file"):
                reader.execute("SELECT sum(score) FROM attributions").fetchall()
    with sigdb.connect(folder) as con:
        after = con.execute("SELECT sum(score) FROM attributions WHERE gene_id < 8").fetchall()
        assert after == [(pytest.approx(before),)]


DAMAGE = {
    "a missing file": (lambda path: path.unlink(), "1 of 31 files are missing or cut off.*run_id=1/gene_bucket=2"),
    "a file that was cut off": (
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        "1 of 31 files are missing or cut off.*run_id=1/gene_bucket=2",
    ),
}


def one_file(folder):
    return next((folder / "attributions" / "run_id=1" / "gene_bucket=2").iterdir())


def flip_a_bit(path):
    held = bytearray(path.read_bytes())
    held[100] ^= 1
    path.write_bytes(held)


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_an_incomplete_lake_is_not_opened(damaged, two_runs, tmp_path, damage, message):
    damage(one_file(damaged))
    for use in (sigdb.connect, partial(attach_lake, path=tmp_path / "a"), partial(import_lake, path=tmp_path / "a")):
        with pytest.raises(AtlasError, match=message):
            use(damaged)
    assert not (tmp_path / "a").exists()
    assert export_lake(two_runs, damaged).written == 1
    sigdb.connect(damaged).close()


def test_a_file_that_was_altered_is_found_by_its_checksum(damaged, two_runs, tmp_path):
    flip_a_bit(one_file(damaged))
    with pytest.raises(AtlasError, match=r"1 of 31 files are damaged.*gene_bucket=2.*check=True"):
        import_lake(damaged, tmp_path / "a.duckdb")
    assert not list(tmp_path.glob("a.duckdb*"))
    assert export_lake(two_runs, damaged).written == 0
    assert export_lake(two_runs, damaged, check=True).written == 1
    manifest.check_sums(manifest.read(str(damaged)))


def edit_manifest(folder, **changes):
    path = folder / manifest.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_other_versions(damaged):
    edit_manifest(damaged, schema_version=999)
    with pytest.raises(AtlasVersionError, match="has atlas schema 999; this sigdb knows schemas up to"):
        sigdb.connect(damaged)
    edit_manifest(damaged, schema_version=1)
    with pytest.raises(AtlasVersionError, match=r"has atlas schema 1.*Upgrade the atlas that it comes from"):
        sigdb.connect(damaged)
    edit_manifest(damaged, format_version=2)
    with pytest.raises(AtlasVersionError, match="format 2; this sigdb reads format 1"):
        sigdb.connect(damaged)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "other"}', '{"format": "sigdb lake", "format_version": 1}']
)
def test_another_manifest(damaged, text):
    (damaged / manifest.NAME).write_text(text)
    with pytest.raises(AtlasError, match=r"manifest\.json is not the manifest of a lake"):
        sigdb.connect(damaged)


def test_paths_that_are_not_lakes_are_refused(two_runs, whole, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    with pytest.raises(AtlasError, match="is a folder but not a lake"):
        sigdb.connect(tmp_path / "folder")
    with pytest.raises(AtlasError, match=r"is not a lake, and it is not empty: it contains mine\.txt"):
        export_lake(two_runs, tmp_path / "folder")
    assert names(tmp_path / "folder") == {"mine.txt"}
    with pytest.raises(AtlasError, match="is a file"):
        export_lake(two_runs, tmp_path / "folder" / "mine.txt")
    with pytest.raises(AtlasError, match="only an atlas file can be exported"):
        export_lake(whole, tmp_path / "other")
    with pytest.raises(AtlasNotFoundError, match="no lake at"):
        attach_lake(tmp_path / "none", tmp_path / "a.duckdb")
    with pytest.raises(AtlasError, match="is not a folder of this machine"):
        import_lake("s3://bucket/lake", tmp_path / "a.duckdb")
    with pytest.raises(AtlasError, match="at least one gene"):
        export_lake(two_runs, tmp_path / "other", genes_per_bucket=0)
    for make in (attach_lake, import_lake):
        with pytest.raises(AtlasError, match="exists already"):
            make(whole, two_runs)
    assert not (tmp_path / "other").exists()


def test_the_lake_of_another_atlas_is_left_alone(damaged, tmp_path):
    other = make_toy(tmp_path / "other.duckdb")
    with Atlas(other) as atlas:
        atlas.con.execute("UPDATE sigdb_data.atlas_info SET value = '2001-01-01' WHERE key = 'created'")
    before = names(damaged)
    with pytest.raises(AtlasError, match="the lake of another atlas"):
        export_lake(other, damaged)
    assert names(damaged) == before


def test_two_exports_at_once(two_runs, damaged):
    with export.hold_folder(damaged), pytest.raises(AtlasError, match=r"Another export .* is running"):
        export_lake(two_runs, damaged)


def test_a_lake_is_neither_written_to_nor_locked(whole, tmp_path):
    with pytest.raises(AtlasError, match=r"read-only\. `sigdb\.import_lake\(lake, path\)` makes an atlas file of it"):
        Atlas(whole)
    with pytest.raises(AtlasError, match=r"cannot be locked.*`sigdb\.import_lake\(lake, path\)`"):
        sigdb.connect(whole, locked=True)
    attach_lake(whole, tmp_path / "a.duckdb")
    for options in ({"read_only": False}, {"locked": True}):
        with pytest.raises(AtlasError, match="shows a lake and holds no rows of its own"):
            sigdb.connect(tmp_path / "a.duckdb", **options)
    with pytest.raises(AtlasError, match=r"22 of its tables are views.*attach_lake.*`trusted=True`"):
        sigdb.connect(tmp_path / "a.duckdb")
    with sigdb.connect(whole) as con:
        for statement in ("DELETE FROM sigdb_data.genes", "CREATE TABLE t AS SELECT 1"):
            with pytest.raises(duckdb.Error):
                con.execute(statement)


def test_file_size_follows_the_atlas(two_runs, tmp_path, monkeypatch):
    """A gene has about 210 scores. Files of 1,000 rows have 4 genes until they are more than 4 times too large."""
    monkeypatch.setattr(export, "FILE_ROWS", 1000)
    assert export_lake(two_runs, tmp_path / "lake").manifest.genes_per_bucket == 2
    monkeypatch.setattr(export, "FILE_ROWS", 20_000)
    assert export_lake(two_runs, tmp_path / "lake").manifest.genes_per_bucket == 2
    monkeypatch.setattr(export, "FILE_ROWS", 250)
    assert export_lake(two_runs, tmp_path / "lake").manifest.genes_per_bucket == 2
