"""The Arrow Flight SQL door, by pyarrow's own client of Flight. `tests/web` uses the driver of ADBC."""

from __future__ import annotations

import base64
import time

import pyarrow as pa
import pytest

pytest.importorskip("google.protobuf", reason="the extra serve is not installed")

from pyarrow import flight

import sigdb
from sigdb.serve.flight import FlightDoor
from sigdb.serve.flight_messages import pack, unpack
from sigdb.serve.server import Address
from tests.sigdb.serve.test_gate import ENDLESS

SQL = "SELECT cell_id, score FROM signature_score($1) ORDER BY cell_id"


class Client:
    """Flight SQL as clients speak it."""

    def __init__(self, address: str, *headers: tuple[bytes, bytes]) -> None:
        self.flight = flight.FlightClient(address)
        self.options = flight.FlightCallOptions(headers=list(headers))

    def get(self, name, **fields):
        """The answer to a command."""
        descriptor = flight.FlightDescriptor.for_command(pack(name, **fields))
        info = self.flight.get_flight_info(descriptor, self.options)
        return self.flight.do_get(info.endpoints[0].ticket, self.options).read_all()

    def query(self, sql):
        """The rows of a query."""
        return self.get("CommandStatementQuery", query=sql)

    def prepare(self, sql) -> bytes:
        """A prepared statement."""
        body = pack("ActionCreatePreparedStatementRequest", query=sql)
        (result,) = self.flight.do_action(flight.Action("CreatePreparedStatement", body), self.options)
        return unpack(result.body.to_pybytes()).prepared_statement_handle

    def bind(self, handle, *rows):
        """Send parameters."""
        table = pa.table({str(n): list(values) for n, values in enumerate(zip(*rows, strict=True))})
        command = pack("CommandPreparedStatementQuery", prepared_statement_handle=handle)
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, reader = self.flight.do_put(descriptor, table.schema, self.options)
        with writer:
            writer.write_table(table)
            writer.done_writing()
            reader.read()


@pytest.fixture(scope="module")
def address(gate):
    """The address of a door to the toy atlas."""
    door = FlightDoor(gate, Address(port=0))
    yield door.start()
    door.stop()
    door.join()


@pytest.fixture
def client(address) -> Client:
    return Client(address)


def test_a_query(client, toy):
    """With all its types; many rows come in several batches."""
    for sql in ("FROM cells ORDER BY cell_id", "SELECT range AS n FROM range(10000)", "SELECT 1 AS a WHERE false"):
        assert client.query(sql).equals(toy.sql(sql).to_arrow_table())


def test_a_prepared_query_with_a_list_of_genes(client, toy):
    handle = client.prepare(SQL)
    for genes in (["S100A8"], ["S100A8", "CD3E"]):
        client.bind(handle, [genes])
        found = client.get("CommandPreparedStatementQuery", prepared_statement_handle=handle)
        assert found.to_pylist() == toy.sql(SQL, params=[genes]).to_arrow_table().to_pylist()
    with pytest.raises(flight.FlightServerError, match=r"takes one row of parameters, not 2\."):
        client.bind(handle, [["S100A8"]], [["CD3E"]])
    body = pack("ActionClosePreparedStatementRequest", prepared_statement_handle=handle)
    list(client.flight.do_action(flight.Action("ClosePreparedStatement", body)))
    with pytest.raises(flight.FlightServerError, match="There is no such prepared statement"):
        client.get("CommandPreparedStatementQuery", prepared_statement_handle=handle)


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("DROP TABLE cells", flight.FlightUnauthorizedError, "DROP is not allowed"),
        ("SELECT 1; SELECT 2", flight.FlightServerError, "These are 2 statements"),
        ("SELECT nothing FROM cells", flight.FlightServerError, '"nothing" not found'),
        ("FROM read_csv('/etc/passwd')", flight.FlightUnauthorizedError, "reads nothing but the atlas"),
        ("FROM range(30000)", flight.FlightServerError, "more than 20,000 rows"),
        ("SELECT repeat('a', 5000000)", flight.FlightServerError, "more than 4,194,304 bytes"),
    ],
)
def test_refusals(client, sql, error, said):
    with pytest.raises(error, match=said) as caught:
        client.query(sql)
    assert "Traceback" not in str(caught.value)  # it would tell paths of the server


def test_a_query_takes_too_long(client, limit):
    limit(seconds=1)
    with pytest.raises(flight.FlightTimedOutError, match="longer than 1 second"):
        client.query(ENDLESS)


def test_writing_is_refused(client):
    descriptor = flight.FlightDescriptor.for_command(pack("CommandStatementUpdate", query="DROP TABLE cells"))
    writer, _ = client.flight.do_put(descriptor, pa.schema([]))
    with pytest.raises(flight.FlightUnauthorizedError, match="only reads"):
        writer.close()


def test_the_catalogue(client, toy_path):
    assert client.get("CommandGetCatalogs").to_pylist() == [{"catalog_name": toy_path.stem}]
    assert client.get("CommandGetDbSchemas").column("db_schema_name").to_pylist() == ["main"]
    assert client.get("CommandGetTableTypes").to_pylist() == [{"table_type": "VIEW"}]
    assert client.get("CommandGetSqlInfo").num_rows == 0
    (found,) = client.get("CommandGetTables", table_name_filter_pattern="stud_es", include_schema=True).to_pylist()
    with sigdb.connect(toy_path) as con:
        expected = con.sql("FROM studies").to_arrow_table().schema
    assert (found["table_name"], pa.ipc.read_schema(pa.py_buffer(found["table_schema"]))) == ("studies", expected)


def basic(name, token):
    return b"authorization", b"Basic " + base64.b64encode(f"{name}:{token}".encode())


def test_who_may_ask(address, closed_gate, ada):
    _, token = ada
    for header in (basic("ada", token), (b"authorization", f"Bearer {token}".encode())):
        assert Client(address, header).query("SELECT 1 AS a").to_pylist() == [{"a": 1}]
    wrong = [
        [],
        [basic("ada", "no")],
        [basic("eve", token)],
        [(b"authorization", b"Basic !")],
        [(b"authorization", b"")],
    ]
    for headers in wrong:
        with pytest.raises(flight.FlightUnauthenticatedError, match="token"):
            Client(address, *headers).query("SELECT 1")


def test_a_prepared_statement_belongs_to_one_person(address, client, closed_gate, ada):
    mine = Client(address, basic("ada", ada[1]))
    handle = mine.prepare("SELECT 1 AS a")
    closed_gate.tokens = None  # everybody is `local` now
    with pytest.raises(flight.FlightServerError, match="There is no such prepared statement"):
        client.get("CommandPreparedStatementQuery", prepared_statement_handle=handle)


def test_the_query_of_a_client_that_leaves_is_stopped(client, gate, log_of):
    ticket = flight.Ticket(pack("TicketStatementQuery", statement_handle=ENDLESS.encode()))
    with pytest.raises(flight.FlightTimedOutError):
        client.flight.do_get(ticket, flight.FlightCallOptions(timeout=0.5))
    deadline = time.monotonic() + 10
    while (log_of(gate)[-1].get("door"), log_of(gate)[-1].get("outcome")) != ("flight", "cancelled"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_unknown_messages_are_named():
    with pytest.raises(ValueError, match="not a message of Flight SQL"):
        unpack(b"\xff\xff")
