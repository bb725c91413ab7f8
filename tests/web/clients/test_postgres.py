"""Clients of Postgres: psycopg, SQLAlchemy, asyncpg, psql, R, JDBC and ODBC."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed; `make test-web` has it")

import psycopg

import sigdb
from tests.web.clients.conftest import ENDLESS, GENES, LITERAL, REFUSED, SQL

FILES = Path(__file__).parent
JDBC = Path("/usr/share/java/postgresql.jar")


def needs(*programs):
    """Skip a test if a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def address(server, token=None, **options) -> str:
    known = {"host": "localhost", "port": server.ports["postgresql"], "dbname": "demo", "user": "ada"}
    known |= {"password": server.token if token is None else token, "connect_timeout": 20, **options}
    return " ".join(f"{name}={value}" for name, value in known.items())


@pytest.fixture
def con(server):
    with psycopg.connect(address(server), autocommit=True) as con:
        yield con


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_with_parameters(con, expected, binary):
    assert con.execute(SQL.format("%s"), [GENES], binary=binary, prepare=True).fetchall() == expected
    few = con.execute("SELECT count(*) FROM cells WHERE n_counts > %s AND study = %s", [300, "wu2020_tcell"])
    assert few.fetchall() == [(196,)]


@pytest.mark.parametrize("table", ["cells", "studies", "attribution_runs", "signature_info"])
def test_every_value_of_a_table_is_that_of_duckdb(con, demo_path, table):
    """Types included; psycopg reads maps and structs as JSON."""
    sql = f"FROM {table} ORDER BY ALL LIMIT 300"
    with sigdb.connect(demo_path) as atlas:
        names, rows = atlas.sql(sql).columns, atlas.sql(sql).fetchall()
    for binary in (False, True):
        cursor = con.execute(sql, binary=binary)
        assert [each.name for each in cursor.description] == names
        assert plain(cursor.fetchall()) == plain(rows)


def plain(rows):
    """Rows with maps as lists of pairs."""
    return [[[*map(list, each.items())] if isinstance(each, dict) else each for each in row] for row in rows]


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(con, name):
    sql, said = REFUSED[name]
    with pytest.raises(psycopg.Error, match=said) as caught:
        con.execute(sql).fetchall()
    assert caught.value.sqlstate not in {None, "XX000"}
    assert con.execute("SELECT 1").fetchone() == (1,)


def test_who_may_ask(server):
    for wrong in ({"token": "no"}, {"user": "eve"}):
        with pytest.raises(psycopg.OperationalError, match="token"):
            psycopg.connect(address(server, **wrong))
    with pytest.raises(psycopg.OperationalError, match="There is no atlas 'dem' here"):
        psycopg.connect(address(server, dbname="dem"))


def test_tls(tls_server):
    with psycopg.connect(address(tls_server, sslmode="verify-full", sslrootcert=tls_server.certificate)) as con:
        assert con.execute("SELECT 1").fetchone() == (1,)
        assert con.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match="TLS only"):
        psycopg.connect(address(tls_server, sslmode="disable"))


def test_a_query_can_be_cancelled(con):
    threading.Timer(1, con.cancel).start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        con.execute(ENDLESS)
    assert con.execute("SELECT 1").fetchone() == (1,)


def test_rows_are_fetched_as_they_are_needed(server):
    """A failed transaction stays failed until it ends, as in Postgres."""
    with psycopg.connect(address(server)) as con:
        assert len(con.execute("SELECT range FROM range(5000)").fetchall()) == 5000
        with pytest.raises(psycopg.Error):
            con.execute("SELECT nothing")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            con.execute("SELECT 1")
        con.rollback()
        assert con.execute("SELECT 1").fetchone() == (1,)


def test_sqlalchemy_reflects_tables(server, expected, demo_path):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    place = f"ada:{server.token}@localhost:{server.ports['postgresql']}/demo"
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://{place}")
    with engine.connect() as con:
        rows = con.execute(sqlalchemy.text(SQL.format(":genes")), {"genes": GENES}).all()
        assert [tuple(row) for row in rows] == expected
        inspector = sqlalchemy.inspect(con)
        assert {"cells", "studies"} <= set(inspector.get_table_names())
        with sigdb.connect(demo_path) as atlas:
            assert [each["name"] for each in inspector.get_columns("cells")] == atlas.sql("FROM cells").columns
        columns = {each["name"]: each for each in inspector.get_columns("cells")}
        assert isinstance(columns["n_counts"]["type"], sqlalchemy.DOUBLE_PRECISION)
        assert columns["cell_type"]["comment"] == "Cell type, as named by the study."
        assert inspector.get_table_comment("cells")["text"].startswith("cells -> VIEW")
        cells = sqlalchemy.Table("cells", sqlalchemy.MetaData(), autoload_with=con)
        counted = sqlalchemy.select(sqlalchemy.func.count()).select_from(cells).where(cells.c.study == "wu2020_tcell")
        assert con.execute(counted).scalar() == 200
    engine.dispose()


def test_asyncpg(server, expected):
    asyncpg = pytest.importorskip("asyncpg")

    async def ask():
        place = {"host": "localhost", "port": server.ports["postgresql"], "database": "demo"}
        con = await asyncpg.connect(user="ada", password=server.token, **place)
        rows = await con.fetch(SQL.format("$1::VARCHAR[]"), GENES)
        await con.close()
        return [tuple(row) for row in rows]

    assert asyncio.run(ask()) == expected


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def read(text, separator=","):
    """The rows of SQL in a text."""
    rows = [line.split(separator) for line in text.splitlines() if line.count(separator) == 2 and "ERROR" not in line]
    return [(study, int(n), float(score)) for study, n, score in rows]


def test_psql(server, expected):
    needs("psql")
    psql = ["psql", address(server), "-At", "-F", ",", "-c"]
    assert read(run([*psql, LITERAL]).stdout) == expected
    assert "main,cells,table,sigdb" in run([*psql, r"\dt"]).stdout.splitlines()
    assert "n_counts,double precision,,," in run([*psql, r"\d cells"]).stdout.splitlines()
    assert "Cell type, as named by the study." in run([*psql, r"\d+ cells"]).stdout
    assert "cells" in run([*psql, r"\d"]).stdout
    refused = run([*psql, "DROP TABLE cells"])
    assert (refused.returncode, "DROP is not allowed" in refused.stderr) == (1, True)
    assert "token" in run(["psql", address(server, token="no"), "-c", "SELECT 1"]).stderr


def test_a_killed_client_stops_its_query(server):
    needs("psql")
    sql = f"{ENDLESS} -- killed"
    with subprocess.Popen(["psql", address(server), "-c", sql], stderr=subprocess.DEVNULL) as client:
        time.sleep(1)
        client.kill()
    server.wait_for(door="postgres", sql=sql, outcome="cancelled")


def test_r(server, expected, tmp_path):
    needs("Rscript")
    if run(["Rscript", "-e", "library(RPostgreSQL)"]).returncode:
        pytest.skip("RPostgreSQL is not installed")
    given = [str(server.ports["postgresql"]), server.token, LITERAL]
    done = run(["Rscript", str(FILES / "ask.R"), *given])
    assert "TRUE cells" in done.stdout, done.stderr
    assert read(done.stdout) == expected
    assert "DROP is not allowed" in done.stderr


def test_jdbc(server, tls_server, expected):
    needs("java", "javac")
    if not JDBC.exists():
        pytest.skip("the JDBC driver of Postgres is not installed")
    java = ["java", "-cp", str(JDBC), str(FILES / "Ask.java")]
    place = f"jdbc:postgresql://localhost:{server.ports['postgresql']}/demo"
    done = run([*java, place, "ada", server.token, SQL.format("?"), *GENES])
    assert read(done.stdout) == expected, done.stderr
    assert "16 columns: cell_id int8 Number of the cell, from 0." in done.stdout
    assert "1757 rows in parts" in done.stdout
    assert "25006 ERROR: DROP is not allowed" in done.stdout
    assert "token" in run([*java, place, "ada", "no", SQL.format("?"), *GENES]).stderr
    secure = f"localhost:{tls_server.ports['postgresql']}/demo?sslmode=verify-full&sslrootcert={tls_server.certificate}"
    done = run([*java, f"jdbc:postgresql://{secure}", "ada", tls_server.token, SQL.format("?"), *GENES])
    assert read(done.stdout) == expected, done.stderr


@pytest.mark.parametrize("autocommit", [False, True])
def test_odbc(server, expected, autocommit):
    pyodbc = pytest.importorskip("pyodbc")
    if "PostgreSQL Unicode" not in pyodbc.drivers():
        pytest.skip("the ODBC driver of Postgres is not installed")
    known = f"DRIVER=PostgreSQL Unicode;SERVER=localhost;PORT={server.ports['postgresql']};DATABASE=demo;UID=ada"
    con = pyodbc.connect(f"{known};PWD={server.token}", autocommit=autocommit)
    assert [tuple(row) for row in con.execute(LITERAL)] == expected
    assert [tuple(row) for row in con.execute(SQL.format("?::VARCHAR[]"), "{LYZ,CD14}")] == expected
    assert "cells" in [row.table_name for row in con.cursor().tables()]
    assert [row.column_name for row in con.cursor().columns(table="cells")][:2] == ["cell_id", "sample_id"]
    with pytest.raises(pyodbc.Error, match="DROP is not allowed"):
        con.execute("DROP TABLE cells")
    with pytest.raises(pyodbc.Error, match="token"):
        pyodbc.connect(f"{known};PWD=no")
