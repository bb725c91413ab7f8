"""Open an atlas: what is refused, with which error, and that a failed write does not change the file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import sigdb
from ingest.store.writer import add_columns
from sigdb import Atlas, Signature
from sigdb.atlas.file import ROW_GROUP_SIZE, SCHEMA_VERSION, attach
from sigdb.atlas.optimize import optimize
from sigdb.atlas.upgrade import upgrade
from sigdb.errors import (
    AtlasError,
    AtlasLockedError,
    AtlasNotFoundError,
    AtlasVersionError,
    SignatureError,
    StudyExistsError,
)
from tests.support.toy import TOY_GENES, fingerprint, new_atlas, obs_of, set_schema_version, settings, write_study


@pytest.fixture
def copy(toy_path, tmp_path):
    return shutil.copy(toy_path, tmp_path / "copy of toy.duckdb")


def test_a_connection_is_a_plain_read_only_duckdb_connection(toy):
    assert isinstance(toy, duckdb.DuckDBPyConnection)
    with pytest.raises(duckdb.Error, match=r"read-only|Can only delete from base table"):
        toy.execute("DELETE FROM sigdb_data.genes")


@pytest.mark.parametrize(
    "options",
    [{}, {"trusted": True}, {"locked": True}, {"read_only": False}],
    ids=["read", "trusted", "locked", "write"],
)
def test_a_name_in_a_query_is_a_table_and_never_a_variable(copy, options):
    cell = pa.table({"cell_id": [1]})
    with sigdb.connect(copy, **options) as con, con.cursor() as cursor:
        for each in (con, cursor) if options != {"read_only": False} else (con,):
            with pytest.raises(duckdb.CatalogException, match=r'Did you mean "cells'):
                each.sql("SELECT * FROM cell")
        con.register("frame", cell)
        assert con.sql("FROM frame").fetchall() == [(1,)], "a name that was given is a table"


def test_a_locked_connection_reaches_nothing_but_the_atlas(copy, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with sigdb.connect(copy, trusted=True) as con:
        assert con.execute(f"SELECT a FROM '{secret}'").fetchall() == [(1,)], "a trusted file may be anything"
    with sigdb.connect(copy, locked=True) as con:
        assert con.execute("SELECT signature_score(1, ['CD3E'])").fetchall() == [(9.0,)]
        for statement in (
            f"SELECT * FROM '{secret}'",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'other.duckdb'}'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
            "SET memory_limit = '1GB'",
            "DELETE FROM sigdb_data.genes",
        ):
            with pytest.raises(duckdb.Error):
                con.execute(statement)
        with pytest.raises(AtlasError, match="open in this process with other options"):
            sigdb.connect(copy)
    assert not (tmp_path / "out.csv").exists()
    with pytest.raises(AtlasError, match="is read-only"):
        sigdb.connect(copy, locked=True, read_only=False)


def test_sums_by_cell_are_planned_as_arrays(toy):
    plan = toy.execute("EXPLAIN SELECT sum(score) FROM signature_score(['CD3E', 'S100A8'])").fetchall()[0][1]
    assert "PERFECT" in plan.upper()


def test_no_file(tmp_path):
    with pytest.raises(AtlasNotFoundError, match=r"no atlas at .*none\.duckdb.*`ingest\.demo\.build_demo\(path\)`"):
        sigdb.connect(tmp_path / "none.duckdb")
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.parametrize("folder", ["plain", "block", "IO Error: Could not set lock"])
def test_not_a_database(tmp_path, folder):
    """The name of its folder does not matter: the error does not say that the file is open in another process."""
    path = tmp_path / folder / "text.duckdb"
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be read as one" * 200)
    with pytest.raises(AtlasError, match="cannot be opened as a DuckDB file"):
        sigdb.connect(path)


def test_a_database_that_is_no_atlas(tmp_path):
    path = tmp_path / "other.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(AtlasError, match="not a sigdb atlas"):
        sigdb.connect(path)


def test_newer_schema_is_refused_by_name_and_older_one_points_to_upgrade(copy):
    set_schema_version(copy, SCHEMA_VERSION + 1)
    with pytest.raises(AtlasVersionError, match="Update the source of sigdb"):
        sigdb.connect(copy)
    with pytest.raises(AtlasVersionError, match="knows schemas up to"):
        upgrade(copy)
    set_schema_version(copy, SCHEMA_VERSION - 1)
    with pytest.raises(AtlasVersionError, match=r"`sigdb\.upgrade\('.*'\)`"):
        sigdb.connect(copy)


def test_locked_by_another_process(copy):
    code = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, copy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(AtlasLockedError, match="open in another process"):
            sigdb.connect(copy)
        other.stdin.close()


def test_create_refuses_an_existing_file_and_an_impossible_one(copy, tmp_path):
    with pytest.raises(AtlasError, match="exists already"):
        Atlas.create(copy)
    with pytest.raises(AtlasError, match="cannot be created"):
        Atlas.create(tmp_path / "no such folder" / "a.duckdb")


def test_path_with_quotes_and_spaces(tmp_path):
    path = tmp_path / 'it\'s a "path" ; with -- all.duckdb'
    with Atlas.create(path) as atlas:
        write_study(atlas, np.array([[1.0]]), ["CD3E"])
    with sigdb.connect(path) as con:
        assert con.execute("SELECT score FROM signature_score(['CD3E'])").fetchall() == [(1.0,)]


def test_storage_version_is_the_oldest_that_holds_the_macros(toy):
    tags = toy.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert "v1.2.0" in str(tags)


def break_off(atlas):
    with atlas.transaction() as con:
        con.execute("DELETE FROM sigdb_data.attributions")
        con.execute("ALTER TABLE sigdb_data.cell_data ADD COLUMN x INTEGER")
        raise ZeroDivisionError


def test_a_failed_transaction_leaves_the_atlas_as_it_was(copy):
    before = fingerprint(copy)
    with Atlas(copy) as atlas:
        with pytest.raises(ZeroDivisionError):
            break_off(atlas)
        with pytest.raises(StudyExistsError, match="'toy' is in the atlas already"):
            write_study(atlas, np.ones((3, 3)), TOY_GENES)
        with pytest.raises(StudyExistsError, match="of 3 cells; these 2 are others"):
            write_study(atlas, np.ones((2, 3)), TOY_GENES, run_settings=settings(n_steps=7), run="other")
        with pytest.raises(AtlasError, match="run 'toy-model-ig' with other settings"):
            write_study(atlas, np.ones((3, 3)), TOY_GENES, run_settings=settings(n_steps=7))
        with pytest.raises(AtlasError, match="numbers are run ids"):
            write_study(atlas, np.ones((3, 3)), TOY_GENES, run_settings=settings(n_steps=7), run="7")
        with pytest.raises(sigdb.errors.ObsError, match=r"disease has several values within 1 samples .*sample 1"):
            write_study(atlas, np.ones((2, 3)), TOY_GENES, study="s", obs=obs_of(2, disease=["flu", "normal"]))
    assert fingerprint(copy) == before


def test_columns_of_obs_become_columns_of_cells(copy):
    odd = 'odd "name"; DROP TABLE x --\''
    with Atlas(copy) as atlas:
        obs = obs_of(2, **{odd: ["a", None], "AGE": [5, 6], "ratio": [0.5, None], "flag": [True, False]})
        write_study(atlas, np.ones((2, 3)), TOY_GENES, study="two", obs=obs)
    with sigdb.connect(copy) as con:
        quoted = '"' + odd.replace('"', '""') + '"'
        rows = con.execute(f"SELECT cell_id, age, ratio, flag, {quoted} FROM cells ORDER BY cell_id").fetchall()
    toy_cells = [(cell, 61, None, None, None) for cell in range(3)]
    assert rows == [*toy_cells, (3, 5, 0.5, True, "a"), (4, 6, None, False, None)]


def test_columns_widen_to_hold_what_a_later_study_brings(copy):
    """age is BIGINT in the toy atlas. 0.5 makes it DOUBLE, 'old' makes it VARCHAR; NULL, 7.0 and '8' change nothing."""
    kind = "SELECT data_type FROM duckdb_columns() WHERE table_name = 'cell_data' AND column_name = 'age'"
    ages = [(None, "BIGINT"), (7.0, "BIGINT"), ("8", "BIGINT"), (0.5, "DOUBLE"), (9, "DOUBLE"), ("old", "VARCHAR")]
    for n, (age, expected) in enumerate(ages):
        with Atlas(copy) as atlas:
            write_study(atlas, np.ones((1, 3)), TOY_GENES, study=f"s{n}", obs=obs_of(1, age=[age]))
            assert atlas.con.execute(kind).fetchall() == [(expected,)]
    with sigdb.connect(copy) as con:
        ages = con.execute("SELECT age FROM cells ORDER BY cell_id").fetchall()
    assert [age for (age,) in ages] == ["61"] * 3 + [None, "7", "8", "0.5", "9", "old"]


def widen_and_break_off(atlas):
    with atlas.transaction() as con:
        add_columns(con, pa.table({"age": ["old"], "new": [1]}))
        raise ZeroDivisionError


def test_a_failed_study_undoes_its_widening(copy):
    before = fingerprint(copy)
    with Atlas(copy) as atlas, pytest.raises(ZeroDivisionError):
        widen_and_break_off(atlas)
    assert fingerprint(copy) == before


def test_two_signatures_of_one_name_are_refused(copy):
    with (
        Atlas(copy) as atlas,
        pytest.raises(SignatureError, match="1 of 1 names are given to more than one signature: A"),
    ):
        atlas.add_signatures([Signature("A", ("CD3E",)), Signature("A", ("LYZ",))])


@pytest.mark.parametrize(
    "name", ["sigdb_data.duckdb", "SIGDB_DATA", "sigdb_new.duckdb", "information_schema.v2.duckdb", "pg_catalog.duckdb"]
)
def test_impossible_file_names(tmp_path, name):
    with pytest.raises(AtlasError, match=f"cannot be called {name}: .* Choose another name"):
        Atlas.create(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sqlite:y.duckdb", "main.duckdb", "temp.duckdb", "system.duckdb"])
def test_unusual_file_names(toy_path, tmp_path, name):
    new_atlas(tmp_path / name).close()
    shutil.copy(toy_path, tmp_path / name)
    before = fingerprint(tmp_path / name)
    optimize(tmp_path / name, decimals=2)
    after = fingerprint(tmp_path / name)
    assert after.pop("atlas_info") != before.pop("atlas_info")
    assert after == before


def test_another_run_with_other_counts_is_refused(copy):
    before = fingerprint(copy)
    with Atlas(copy) as atlas:
        atlas.con.execute("UPDATE sigdb_data.cell_data SET n_counts = 11 WHERE cell_id = 2")
        with pytest.raises(StudyExistsError, match="other counts in 1 of the 3"):
            write_study(atlas, np.ones((3, 3)), TOY_GENES, run_settings=settings(n_steps=7), run="other")
    with Atlas(copy) as atlas:
        atlas.con.execute("UPDATE sigdb_data.cell_data SET n_counts = 10 WHERE cell_id = 2")
    assert fingerprint(copy) == before


def test_signatures_are_added_all_or_none(copy):
    before = fingerprint(copy)
    taken = "1 of 2 signatures are in the library already: T_CELL"
    with Atlas(copy) as atlas, pytest.raises(SignatureError, match=taken):
        atlas.add_signatures([Signature("NEW", ("CD3E",)), Signature("T_CELL", ("CD3D",))])
    assert fingerprint(copy) == before
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("NEW", ("CD3E",)), Signature("T_CELL", ("CD3D", "CD3G"), (2, 1))], replace=True)
    with sigdb.connect(copy) as con:
        assert con.execute("SELECT signature_genes('T_CELL'), signature_weights('T_CELL')").fetchall() == [
            (["CD3D", "CD3G"], [2.0, 1.0])
        ]
        names = con.execute("SELECT list(signature ORDER BY signature) FROM signature_info").fetchall()
        assert names == [(["MYELOID", "NEW", "T_CELL"],)]


def row_group_sizes(path, table):
    with duckdb.connect(path, read_only=True) as con:
        query = f"SELECT row_group_id, max(count) FROM pragma_storage_info('{table}') GROUP BY ALL ORDER BY ALL"
        return [n for _, n in con.execute(query).fetchall()]


def test_a_writer_has_row_groups_that_fill_blocks(copy):
    with Atlas(copy) as atlas:
        atlas.con.execute("CREATE TABLE written AS FROM range(400_000)")
        rows = "SELECT count(*) FROM cells"
        assert atlas.con.cursor().execute(rows).fetchall() == atlas.con.execute(rows).fetchall(), "cursors begin there"
        assert len(atlas.con.execute("SHOW DATABASES").fetchall()) == 1
    assert row_group_sizes(copy, "written") == [*[ROW_GROUP_SIZE] * 3, 400_000 - 3 * ROW_GROUP_SIZE]


def test_writers_of_several_threads(copy):
    """While one thread detaches the file and attaches it again, the others do not find it missing."""

    def write(number):
        with Atlas(copy) as atlas:
            atlas.con.execute(f"CREATE TABLE written_{number} AS FROM range(10)")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(20)))
    with duckdb.connect(copy, read_only=True) as con:
        tables = "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'written%'"
        assert con.execute(tables).fetchall() == [(20,)]


def test_a_writer_leaves_other_connections_of_its_process_alone(copy):
    with duckdb.connect(copy) as con:
        con.execute("BEGIN")
        con.execute("CREATE TABLE theirs AS FROM range(3)")
        with Atlas(copy) as atlas:
            atlas.con.execute("CREATE TABLE ours AS FROM range(200_000)")
        con.execute("COMMIT")
        assert con.execute("SELECT (SELECT count(*) FROM theirs), (SELECT count(*) FROM ours)").fetchall() == [
            (3, 200_000)
        ]


KILLED_BEFORE_ITS_CHANGES_WERE_IN_THE_FILE = """
import os, signal, sys
from sigdb import Atlas
con = Atlas(sys.argv[1]).con
con.execute("SET wal_autocheckpoint = '1GB'")
con.execute("CREATE TABLE sigdb_data.kept (x UBIGINT)")
for _ in range(40):
    con.execute("INSERT INTO sigdb_data.kept SELECT hash(range) FROM range(5_000)")
os.kill(os.getpid(), signal.SIGKILL)
"""
ON_A_FULL_DISK = """
import os, resource, sys
from sigdb import Atlas
size = os.path.getsize(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
Atlas(sys.argv[1])
"""


def test_changes_that_do_not_fit_into_the_file_wait_in_its_log(copy):
    subprocess.run([sys.executable, "-c", KILLED_BEFORE_ITS_CHANGES_WERE_IN_THE_FILE, copy], check=False)
    ended = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, copy], capture_output=True, text=True, check=False)
    told = "copy of toy.duckdb.wal, do not fit into the file. Make room on the disk" in ended.stderr
    assert told == (duckdb.__version__ >= "2"), "DuckDB 1.x leaves them in the log without a word"
    for read_only in (True, False):
        with sigdb.connect(copy, read_only=read_only) as con:
            assert con.execute("SELECT count(*) FROM sigdb_data.kept").fetchall() == [(200_000,)]
    Atlas(copy).close()


def test_a_file_that_another_process_opens_while_it_is_detached(copy, monkeypatch):
    """Between DETACH and ATTACH, no connection owns the file."""
    other = f"import duckdb; con = duckdb.connect({str(copy)!r}); print('has it', flush=True); input()"

    def taken(*args):
        processes.append(
            subprocess.Popen([sys.executable, "-c", other], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert processes[0].stdout.readline() == "has it\n"
        attach(*args)

    processes = []
    monkeypatch.setattr("sigdb.atlas.file.attach", taken)
    with pytest.raises(AtlasLockedError, match="open in another process"):
        Atlas(copy)
    processes[0].communicate("\n")
    monkeypatch.undo()
    Atlas(copy).close()
