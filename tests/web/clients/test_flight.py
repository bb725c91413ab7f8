"""The driver of ADBC for Arrow Flight SQL, and by it pandas and polars."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("adbc_driver_flightsql", reason="ADBC is not installed; `make test-web` has it")

import adbc_driver_flightsql.dbapi as adbc

import sigdb
from tests.web.clients.conftest import ENDLESS, GENES, LITERAL, REFUSED, SQL

CLIENT = """
import sys
import adbc_driver_flightsql.dbapi as adbc

with adbc.connect(sys.argv[1], db_kwargs={"username": "ada", "password": sys.argv[2]}, autocommit=True) as con:
    with con.cursor() as cursor:
        print("asks", flush=True)
        cursor.execute(sys.argv[3])
        cursor.fetchall()
"""


def connect(server, token=None, scheme="grpc", **options):
    options |= {"username": "ada", "password": server.token if token is None else token}
    return adbc.connect(f"{scheme}://localhost:{server.ports['grpc']}", db_kwargs=options, autocommit=True)


@pytest.fixture(scope="module")
def con(server):
    with connect(server) as con:
        yield con


def ask(con, sql, parameters=None):
    with con.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def test_rows_are_those_of_sigdb(con, expected):
    assert [tuple(row.values()) for row in ask(con, LITERAL).to_pylist()] == expected
    assert [tuple(row.values()) for row in ask(con, SQL.format("?"), [GENES]).to_pylist()] == expected


def test_tables_are_those_of_sigdb(con, demo_path):
    with sigdb.connect(demo_path) as atlas:
        for table in ("cells", "attribution_runs"):
            sql = f"FROM {table} ORDER BY ALL"
            assert ask(con, sql).equals(atlas.sql(sql).to_arrow_table())
            assert con.adbc_get_table_schema(table).equals(atlas.sql(f"FROM {table}").to_arrow_table().schema)
    (catalogue,) = con.adbc_get_objects(depth="tables").read_all().to_pylist()
    tables = [each["table_name"] for each in catalogue["catalog_db_schemas"][0]["db_schema_tables"]]
    assert (catalogue["catalog_name"], "cells" in tables) == ("demo", True)


def test_pandas_and_polars(con, expected):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    assert list(pandas.read_sql(LITERAL, con).itertuples(index=False, name=None)) == expected
    assert polars.read_database(LITERAL, con).rows() == expected


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(con, name):
    sql, said = REFUSED[name]
    with pytest.raises(adbc.Error, match=said) as caught:
        ask(con, sql)
    assert "Traceback" not in str(caught.value)
    assert ask(con, "SELECT 1 AS a").to_pylist() == [{"a": 1}]


def test_who_may_ask(server):
    with pytest.raises(adbc.Error, match="This token is not valid here"):
        connect(server, token="no")


def test_tls(tls_server):
    options = {adbc_option("TLS_ROOT_CERTS"): tls_server.certificate.read_text()}
    with connect(tls_server, scheme="grpc+tls", **options) as con:
        assert ask(con, "SELECT 1 AS a").to_pylist() == [{"a": 1}]
    with pytest.raises(adbc.Error):
        connect(tls_server, scheme="grpc+tls")


def adbc_option(name):
    from adbc_driver_flightsql import DatabaseOptions

    return DatabaseOptions[name].value


def test_a_killed_client_stops_its_query(server):
    sql = f"{ENDLESS} -- killed"
    command = [sys.executable, "-c", CLIENT, f"grpc://localhost:{server.ports['grpc']}", server.token, sql]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "asks\n"
        client.stdout.read(0)
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(1)
        client.kill()
    server.wait_for(door="flight", sql=sql, outcome="cancelled")
