"""The Postgres door below its wire. `tests/web` uses psql, psycopg, JDBC, ODBC and R."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

pytest.importorskip("pg_mimic", reason="the extra serve is not installed")

import pg_mimic as pg

from sigdb.serve.limits import STATUSES
from sigdb.serve.postgres.session import SQLSTATES, AtlasSession
from tests.sigdb.serve.test_gate import ENDLESS


@pytest.fixture
def session(gate):
    """The session of a client that was admitted."""
    with ThreadPoolExecutor(2) as threads:
        session = AtlasSession(gate, threads)
        session.name = "local"
        status = {"server_version": "16.0 (sigdb 1)"}
        session._connection = SimpleNamespace(
            server=SimpleNamespace(parameter_status=status), session_vars={}, pid=7, tx_status=b"I", username="local"
        )
        yield session


async def ask(session, sql, *values, types=()):
    """What psycopg does: parse, bind, describe, execute."""
    statement = await session.prepare(sql, list(types))
    portal = statement.bind(list(values))
    columns = await statement.describe()
    rows, _ = await portal.execute(0)
    await session.close()
    return [each.name for each in columns or []], rows


def answer(session, sql, *values, types=()):
    return asyncio.run(ask(session, sql, *values, types=types))


def test_the_log_has_what_the_client_sent(session, gate, log_of):
    """A query about the catalogue is written for DuckDB. The log has it as it came."""
    sql = "SELECT count(*) FROM pg_catalog.pg_class AS c WHERE pg_catalog.pg_table_is_visible(c.oid)"
    answer(session, sql)
    assert {each["sql"] for each in log_of(gate)[-2:]} == {sql}


def refusal(session, sql, *values):
    with pytest.raises(pg.PgError) as caught:
        answer(session, sql, *values)
    assert not session.open  # the query has ended
    return caught.value


def test_rows_are_those_of_duckdb(session, toy):
    sql = "SELECT cell_id, score FROM signature_score($1) WHERE cell_id < $2 ORDER BY cell_id"
    columns, rows = answer(session, sql, "{S100A8,CD3E}", "5", types=[None, pg.INT4])
    expected = toy.sql(sql, params=[["S100A8", "CD3E"], 5])
    assert (columns, rows) == (expected.columns, expected.fetchall())


def test_a_statement_is_described_before_its_parameters_are_known(session):
    async def describe():
        statement = await session.prepare("SELECT * FROM signature_by_sample($1::VARCHAR[]);", [])
        return statement.param_oids, [(each.name, each.oid) for each in (await statement.describe())[-3:]]

    assert asyncio.run(describe()) == (
        [pg.ARRAY_OID[pg.TEXT]],
        [("score", pg.FLOAT8), ("n_genes", pg.INT8), ("n_measured", pg.INT8)],
    )


def test_rows_come_as_the_client_takes_them(session):
    async def take():
        portal = (await session.prepare("SELECT range FROM range(2500)", [])).bind([])
        parts = [await portal.execute(1000) for _ in range(3)]
        return [(len(rows), more) for rows, more in parts], [rows[0] for rows, _ in parts]

    assert asyncio.run(take()) == ([(1000, True), (1000, True), (500, False)], [(0,), (1000,), (2000,)])


@pytest.mark.parametrize(
    ("sql", "code", "said"),
    [
        ("DROP TABLE cells", "25006", "DROP is not allowed"),
        ("SELECT 1; SELECT 2", "42601", "These are 2 statements"),
        ("BEGIN; DROP TABLE cells", "42601", "These are 2 statements"),
        ("SELECT nothing FROM cells", "42601", "not found"),
        ("SELECT nothing, current_user FROM cells", "42601", "not found"),
        ("FROM read_csv('/etc/passwd')", "25006", "reads nothing but the atlas"),
        ("SET threads = 8", "25006", "SET is not allowed"),
        ("SET client_encoding = 'LATIN1'", "25006", "SET is not allowed"),
        ("FROM range(30000)", "54000", "more than 20,000 rows"),
        ("SELECT repeat('a', 5000000)", "54000", "more than 4,194,304 bytes"),
    ],
)
def test_refusals(session, sql, code, said):
    error = refusal(session, sql)
    assert error.sqlstate == code
    assert said in error.message


def test_a_query_takes_too_long(session, limit):
    limit(seconds=1)
    assert refusal(session, ENDLESS).sqlstate == "57014"


def test_a_token_that_was_revoked_is_refused_at_the_next_query(session, closed_gate, ada):
    session.token = ada[1]
    assert answer(session, "SELECT 1") == (["1"], [(1,)])
    closed_gate.tokens.path = ada[0].with_name("other")  # the file without this token
    assert refusal(session, "SELECT 1").sqlstate == "28P01"


def test_every_refusal_has_a_code():
    assert set(SQLSTATES) == set(STATUSES)


def test_a_wrong_parameter_is_named(session):
    async def bind():
        (await session.prepare("SELECT $1", [pg.INT4])).bind(["x"])

    with pytest.raises(pg.PgError, match="A parameter is not of the type that it was sent as"):
        asyncio.run(bind())


@pytest.mark.parametrize(
    "sql", ["BEGIN", "COMMIT", "SET extra_float_digits = 3", "DISCARD ALL", "SET TRANSACTION READ ONLY", "SAVEPOINT a"]
)
def test_what_clients_say_about_the_connection_is_not_asked_of_the_atlas(session, sql):
    assert answer(session, sql) == ([], [])


def test_show(session):
    assert answer(session, "SHOW transaction isolation level") == (["transaction_isolation"], [("repeatable read",)])
    assert answer(session, "SHOW server_version")[1] == [("16.0 (sigdb 1)",)]
    assert ("cells",) in answer(session, "SHOW TABLES")[1]  # it is DuckDB's


def test_the_catalogue(session):
    _, rows = answer(session, "SELECT relname FROM pg_catalog.pg_class ORDER BY 1")
    assert ("cells",) in rows
    sql = "SELECT nspname, pg_catalog.array_upper(x.y, 1) FROM pg_namespace, pg_publication AS x"
    assert answer(session, sql) == (["nspname", "array_upper"], [])


def test_a_client_that_gives_up_stops_its_query(session, gate, log_of):
    async def give_up():
        asking = asyncio.create_task(ask(session, ENDLESS))
        await asyncio.sleep(0.5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await session.close()

    asyncio.run(give_up())
    assert (log_of(gate)[-1]["sql"], log_of(gate)[-1]["outcome"]) == (ENDLESS, "cancelled")
    assert not gate.runs
