"""What a query, or an atlas file from a stranger, can do to the files of the machine: nothing."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

import sigdb
from sigdb.errors import AtlasError
from tests.support.toy import fingerprint

SCORE = "SELECT signature_score(1, ['CD3E'])"
ENDLESS = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE hash(a.range + b.range) % 7 = 1"

# What a query could try. HERE is the folder of the atlas, which also holds secret.csv.
TRIES = [
    "COPY (SELECT 'x') TO 'HERE/toy.duckdb' (FORMAT csv, USE_TMP_FILE false)",
    "COPY (SELECT 'x') TO 'HERE/toy.duckdb.wal' (FORMAT csv, USE_TMP_FILE false)",
    "COPY (SELECT 'x') TO 'HERE/toy.duckdb.tmp/x' (FORMAT csv, USE_TMP_FILE false)",
    "COPY (SELECT 'x') TO 'HERE/new.csv'",
    "COPY (SELECT 'x') TO 'HERE' (FORMAT parquet, PARTITION_BY (x), OVERWRITE)",
    "EXPORT DATABASE 'HERE/dump'",
    "ATTACH 'HERE/new.duckdb'",
    "ATTACH 'HERE/toy.duckdb' AS again (READ_WRITE)",
    "SELECT * FROM 'HERE/secret.csv'",
    "SELECT content FROM read_text('HERE/secret.csv')",
    "SELECT content FROM read_blob('HERE/toy.duckdb')",
    "SELECT file FROM glob('HERE/*')",
    "SELECT * FROM sniff_csv('HERE/secret.csv')",
    "SELECT * FROM read_json('HERE/secret.csv')",
    "SELECT * FROM parquet_metadata('HERE/secret.csv')",
    "CREATE PERSISTENT SECRET (TYPE http, BEARER_TOKEN 'x')",
    "CREATE TEMP TABLE t AS FROM 'HERE/secret.csv'",
    "SELECT * FROM query_table('HERE/secret.csv')",
    "CALL enable_logging(storage = 'file', storage_path = 'HERE/log')",
    "LOAD 'HERE/secret.csv'",
    "RESET disabled_filesystems",
    "SET disabled_filesystems = ''",
]
# More, which only a locked connection refuses: settings and extensions.
SETTINGS = [
    "PRAGMA profiling_output = 'HERE/secret.csv'",
    "SET log_query_path = 'HERE/secret.csv'",
    "SET temp_directory = 'HERE/spill'",
    "SET memory_limit = '100GB'",
    "SET threads = 64",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "INSTALL httpfs",
]


@pytest.fixture
def here(toy_path, tmp_path):
    """A folder with an atlas and a secret."""
    shutil.copy(toy_path, tmp_path / "toy.duckdb")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("options", [{"locked": True}, {}], ids=["locked", "read-only"])
def test_a_query_reaches_no_file(here, options):
    before = contents(here)
    allowed = []
    with sigdb.connect(here / "toy.duckdb", **options) as con:
        for query in [*TRIES, *(SETTINGS if options else [])]:
            try:
                con.execute(query.replace("HERE", str(here))).fetchall()
                allowed.append(query)
            except duckdb.Error:
                pass
        assert con.execute(SCORE).fetchall() == [(9.0,)]
        assert con.execute("SELECT count(*) FROM signature_hits(['CD3E'], against := 'cells')").fetchall() == [(3,)]
    assert allowed == []
    assert contents(here) == before


def test_a_trusted_file_may_use_other_files(here):
    with sigdb.connect(here / "toy.duckdb", trusted=True) as con:
        con.execute(f"COPY (SELECT 1 AS a) TO '{here / 'new.csv'}'")
        with pytest.raises(AtlasError, match="in this process with other options: locked, trusted"):
            sigdb.connect(here / "toy.duckdb")
        with pytest.raises(AtlasError, match="in this process with other options"):
            sigdb.connect(here / "toy.duckdb", locked=True)
    assert (here / "new.csv").read_text() == "a\n1\n"


def test_a_locked_connection_ends_its_queries(here):
    with sigdb.connect(here / "toy.duckdb", locked=True, time_limit=0.2) as con:
        start = time.monotonic()
        for _ in range(2):
            with pytest.raises(duckdb.InterruptException):
                con.execute(ENDLESS).fetchall()
        assert time.monotonic() - start < 5


def test_a_locked_connection_has_the_memory_and_threads_that_it_was_given(here):
    with sigdb.connect(here / "toy.duckdb", locked=True, threads=1, memory_limit="50MB") as con:
        assert con.execute("SELECT current_setting('threads')").fetchall() == [(1,)]
        with pytest.raises(duckdb.OutOfMemoryException):
            con.execute("SELECT count(DISTINCT hash(range)) FROM range(20_000_000)").fetchall()
        assert con.execute(SCORE).fetchall() == [(9.0,)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threads": 0, "locked": True}, "at least 1 thread"),
        ({"memory_limit": "much", "locked": True}, "must have a number"),
        ({"memory_limit": "1GB'; SELECT 1", "locked": True}, "cannot be opened"),
        ({"time_limit": 0, "locked": True}, "a number of seconds above 0, not `time_limit=0`"),
        ({"time_limit": float("nan"), "locked": True}, "not `time_limit=nan`"),
        ({"time_limit": 5}, r"Add `locked=True`"),
        ({"memory_limit": "1GB"}, r"Add `locked=True`"),
    ],
)
def test_limits_that_cannot_be(here, options, said):
    with pytest.raises(AtlasError, match=said):
        sigdb.connect(here / "toy.duckdb", **options)
    sigdb.connect(here / "toy.duckdb", locked=True).close()


def test_several_locked_connections_of_one_process(here):
    def ask(_):
        with sigdb.connect(here / "toy.duckdb", locked=True) as con:
            return con.execute(SCORE).fetchall()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(8))) == [[(9.0,)]] * 8


def test_a_far_cell_makes_no_large_array(here):
    """DuckDB does not count the arrays as memory: 1 GB per thread for a cell_id of 60 million."""
    with duckdb.connect(here / "toy.duckdb") as con:
        bits = "SELECT current_setting('perfect_ht_threshold')"
        ((default,),) = con.execute(bits).fetchall()
        con.execute("INSERT INTO sigdb_data.cell_data (cell_id, sample_id, barcode) VALUES (60000000, 0, 'far')")
    with sigdb.connect(here / "toy.duckdb") as con:
        assert con.execute(bits).fetchall() == [(default,)]
    with duckdb.connect(here / "toy.duckdb") as con:
        con.execute(
            "INSERT INTO sigdb_data.cell_data SELECT range + 3, 0, range::VARCHAR, NULL, 1, 1, 1 FROM range(1000000)"
        )
        con.execute("DELETE FROM sigdb_data.cell_data WHERE cell_id = 60000000")
    with sigdb.connect(here / "toy.duckdb") as con:
        assert con.execute(bits).fetchall() == [(21,)]
    with sigdb.connect(here / "toy.duckdb", locked=True, memory_limit="30MB", threads=1) as con:
        assert con.execute(bits).fetchall() == [(default,)], "an array of 16 MB would be half of the memory"


def replace_table(con, table, folder):
    """Put a view in the place of a table. The view reads a file of the reader's, and overwrites it on DuckDB 1.5 on."""
    con.execute(f"ALTER TABLE sigdb_data.{table} RENAME TO moved")
    act = f"enable_profiling(format = 'query_tree', save_location = '{folder / 'secret.csv'}')"
    if duckdb.__version__.startswith("1.4"):
        act = f"read_text('{folder / 'secret.csv'}')"
    con.execute(f"CREATE VIEW sigdb_data.{table} AS SELECT m.* FROM sigdb_data.moved AS m LEFT JOIN {act} AS e ON true")


HOSTILE = {
    "a view as atlas_info": lambda con, folder: replace_table(con, "atlas_info", folder),
    "a view as cell_data": lambda con, folder: replace_table(con, "cell_data", folder),
    "a function": lambda con, _: con.execute("CREATE MACRO list_extract(l, i) AS 1.0"),
    "an aggregate": lambda con, _: con.execute("CREATE MACRO count_star() AS 7"),
    "in capitals": lambda con, _: con.execute('CREATE MACRO "MAX"(x) AS 7'),
    "an operator": lambda con, _: con.execute('CREATE MACRO "/"(a, b) AS 7'),
    "of sigdb_data": lambda con, _: con.execute("CREATE MACRO sigdb_data.abs(x) AS x"),
    "a table function": lambda con, _: con.execute("CREATE MACRO unnest(x) AS TABLE SELECT 1"),
    "the catalogue": lambda con, _: con.execute("CREATE MACRO duckdb_views() AS TABLE SELECT 1 AS a"),
    "the database": lambda con, _: con.execute("CREATE MACRO current_database() AS 'x'"),
    "another number of arguments": lambda con, _: con.execute("CREATE MACRO sum(a, b) AS 7"),
}
OPENERS = {
    "locked": lambda path: sigdb.connect(path, locked=True),
    "to write": sigdb.Atlas,
    "upgrade": sigdb.upgrade,
    "optimize": sigdb.optimize,
    "export": lambda path: sigdb.export_lake(path, path.with_name("lake")),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_file_is_refused_before_it_runs(here, hostile):
    path = here / "toy.duckdb"
    with duckdb.connect(path) as con:
        HOSTILE[hostile](con, here)
    before = contents(here)
    with pytest.raises(AtlasError, match=r"is refused: 1 of its (tables|macros).*`trusted=True`"):
        sigdb.connect(path)
    assert contents(here) == before


@pytest.mark.parametrize("hostile", ["a view as atlas_info", "a function"])
@pytest.mark.parametrize("opener", OPENERS)
def test_every_way_to_open_a_hostile_file_is_refused(here, hostile, opener):
    path = here / "toy.duckdb"
    with duckdb.connect(path) as con:
        HOSTILE[hostile](con, here)
    before = contents(here)
    with pytest.raises(AtlasError):
        OPENERS[opener](path)
    assert contents(here) == before


def test_views_and_macros_of_a_user_are_kept(here):
    path = here / "toy.duckdb"
    with duckdb.connect(path) as con:
        con.execute(f"CREATE VIEW mine AS FROM '{here / 'secret.csv'}'")
        con.execute("CREATE MACRO double_score(c, g) AS 2 * signature_score(c, g)")
    before = fingerprint(path)
    with sigdb.connect(path) as con:
        assert con.execute("SELECT double_score(1, ['CD3E'])").fetchall() == [(18.0,)]
        with pytest.raises(duckdb.Error, match="disabled"):
            con.execute("FROM mine")
    with sigdb.connect(path, trusted=True) as con:
        assert con.execute("FROM mine").fetchall() == [(1,)]
    with sigdb.Atlas(path):
        pass
    assert fingerprint(path) == before


def test_a_schema_version_that_is_no_number(here):
    path = here / "toy.duckdb"
    with duckdb.connect(path) as con:
        con.execute("UPDATE sigdb_data.atlas_info SET value = 'x' WHERE key = 'schema_version'")
    with pytest.raises(AtlasError, match="schema version is 'x', not a number"):
        sigdb.connect(path)
