"""The Arrow Flight SQL door: ADBC, and by it pandas and polars."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import flight

from sigdb.errors import OptionError
from sigdb.serve.flight_messages import pack, unpack
from sigdb.serve.limits import Refused
from sigdb.serve.server import GRACE, bind
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sigdb.serve.gate import Answered, Gate, User
    from sigdb.serve.server import Address

__all__ = ["FlightDoor", "FlightServer"]

# The error of Flight for each kind of refusal; all others are FlightServerError. The client gets the
# traceback of any exception that is not Flight's.
ERRORS = {
    "unauthenticated": flight.FlightUnauthenticatedError,
    "forbidden": flight.FlightUnauthorizedError,
    "timeout": flight.FlightTimedOutError,
    "cancelled": flight.FlightCancelledError,
    "busy": flight.FlightUnavailableError,
    "stopping": flight.FlightUnavailableError,
}
# The answer to a question about the server that clients may ask: nothing is said.
SQL_INFO = pa.schema(
    {
        "info_name": pa.uint32(),
        "value": pa.dense_union(
            [
                pa.field("string_value", pa.string()),
                pa.field("bool_value", pa.bool_()),
                pa.field("bigint_value", pa.int64()),
                pa.field("int32_bitmask", pa.int32()),
                pa.field("string_list", pa.list_(pa.string())),
                pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
            ]
        ),
    }
)
# Seconds between two looks whether a client still waits.
LOOK = 0.5
# Seconds after the time limit of a query, in which the gate has ended it.
PATIENCE = 5
# Prepared statements that are kept; the oldest are forgotten.
PREPARED = 1000
# What clients ask about the catalogue: the statement that answers it, and the columns that the protocol wants.
NAME, OPTIONAL = pa.field("", pa.string(), nullable=False), pa.field("", pa.string())
CATALOGUE = {
    "CommandGetCatalogs": ("catalogs", {"catalog_name": NAME}),
    "CommandGetDbSchemas": ("schemas", {"catalog_name": OPTIONAL, "db_schema_name": NAME}),
    "CommandGetTables": (
        "tables",
        {"catalog_name": OPTIONAL, "db_schema_name": OPTIONAL, "table_name": NAME, "table_type": NAME},
    ),
    "CommandGetTableTypes": ("table_types", {"table_type": NAME}),
}


@contextmanager
def as_flight() -> Iterator[None]:
    """Raise refusals as errors of Flight."""
    try:
        yield
    except Refused as error:
        raise ERRORS.get(error.kind, flight.FlightServerError)(str(error)) from error
    except ValueError as error:
        raise flight.FlightServerError(str(error)) from error


class Admitted(flight.ServerMiddleware):
    """Who makes a call, and about which atlas. A client that showed its token with its name gets it back to show it."""

    def __init__(self, user: User, atlas: str | None, token: str | None) -> None:
        self.user = user
        self.atlas = atlas
        self.token = token

    def sending_headers(self) -> dict[str, str]:
        """The token, for the calls that follow."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


class Admission(flight.ServerMiddlewareFactory):
    """Admits each call by its header."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def start_call(self, info: flight.CallInfo, headers: Mapping[str, Sequence[str]]) -> Admitted:
        """Admit a call. Raises FlightUnauthenticatedError."""
        given = {name.lower(): str(values[0]) for name, values in headers.items() if values}
        with as_flight():
            name, token = credentials(given.get("authorization", ""))
            user = self.gate.admit(token, door="flight")
            if name and self.gate.tokens is not None and name != user.name:
                raise Refused("unauthenticated", f"This token is not the one of {name!r:.80}.")
        return Admitted(user, given.get("atlas"), token)


def credentials(header: str) -> tuple[str | None, str | None]:
    """The name and the token in a header: `Basic` has both, `Bearer` only the token."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None, value or None
    try:
        name, _, token = base64.b64decode(value + "=" * (-len(value) % 4)).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return name, token


class NoHandshake(flight.ServerAuthHandler):
    """Lets a client shake hands, which some do to get a token. `Admission` decides."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """Do nothing."""

    def is_valid(self, token: bytes) -> str:
        """Any token of a handshake will do."""
        return ""


class FlightServer(flight.FlightServerBase):
    """Listens for Flight SQL clients. `serve` runs until `shutdown`."""

    def __init__(self, gate: Gate, location: str, tls: tuple[bytes, bytes] | None = None) -> None:
        """Listen at a location, behind TLS if there is a certificate with its key."""
        super().__init__(
            location,
            auth_handler=NoHandshake(),
            middleware={"admission": Admission(gate)},
            tls_certificates=[flight.CertKeyPair(*tls)] if tls else None,
        )
        self.gate = gate
        self.prepared: dict[bytes, tuple[str, str, list[Any]]] = {}

    def get_flight_info(self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor) -> Any:
        """Say where the answer is. It is computed when the client fetches it."""
        with as_flight():
            message = unpack(descriptor.command)
        ticket = descriptor.command
        if name_of(message) == "CommandStatementQuery":
            ticket = pack("TicketStatementQuery", statement_handle=message.query.encode())
        endpoint = flight.FlightEndpoint(ticket, [])
        return flight.FlightInfo(None, descriptor, [endpoint], -1, -1)

    def get_schema(self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor) -> Any:
        """The columns of an answer."""
        with as_flight():
            message = unpack(descriptor.command)
            sql = message.query if name_of(message) == "CommandStatementQuery" else self.of(context, message)[0]
            with self.ask(context, sql, None) as answered:
                return flight.SchemaResult(answered.schema)

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> Any:
        """Run a query, and send its rows as they come; or say what is in the catalogue."""
        with as_flight():
            message = unpack(ticket.ticket)
            name = name_of(message)
            if name == "CommandGetSqlInfo":
                return flight.GeneratorStream(SQL_INFO, iter(()))
            if name in CATALOGUE:
                return flight.RecordBatchStream(self.catalogue(context, message))
            is_plain = name == "TicketStatementQuery"
            rows = self.rows(
                context, *((message.statement_handle.decode(), None) if is_plain else self.of(context, message))
            )
            return flight.GeneratorStream(next(rows), rows)

    def rows(self, context: flight.ServerCallContext, sql: str, parameters: Any) -> Iterator[Any]:
        """The columns of an answer, then its rows. The query stops when the client leaves."""
        with as_flight(), self.ask(context, sql, parameters) as answered:
            yield answered.schema
            yield from answered.batches()

    @contextmanager
    def ask(self, context: flight.ServerCallContext, sql: str, parameters: Any) -> Iterator[Answered]:
        """Ask the gate. The query stops when the client leaves, or takes no rows for too long."""
        admitted = context.get_middleware("admission")
        ended = threading.Event()

        def watch() -> None:
            deadline = time.monotonic() + self.gate.limits.seconds + PATIENCE
            while not ended.wait(LOOK):
                if context.is_cancelled():
                    return answered.cancel()
                if time.monotonic() > deadline:
                    return answered.done()
            return None

        with self.gate.ask(admitted.user, sql, parameters, atlas=admitted.atlas, door="flight") as answered:
            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            try:
                yield answered
            finally:
                ended.set()
                watcher.join()

    def catalogue(self, context: flight.ServerCallContext, message: Any) -> pa.Table:
        """What is in the catalogue. If a client wants them, the columns of each table stand beside its name."""
        name, columns = CATALOGUE[name_of(message)]
        patterns = {"schema": "db_schema_filter_pattern", "table": "table_name_filter_pattern"}
        known = {each.name for each in message.DESCRIPTOR.fields}
        given = {key: getattr(message, field) or None for key, field in patterns.items() if field in known}
        with self.ask(context, statement(f"serve/flight.{name}"), given) as answered:
            table = pa.Table.from_batches(answered.batches(), answered.schema)
        table = table.cast(pa.schema([field.with_name(column) for column, field in columns.items()]))
        if name != "tables" or not message.include_schema:
            return table
        schemas = [
            self.columns(context, f"{each['db_schema_name']}.{each['table_name']}") for each in table.to_pylist()
        ]
        return table.append_column(
            pa.field("table_schema", pa.binary(), nullable=False), pa.array(schemas, pa.binary())
        )

    def columns(self, context: flight.ServerCallContext, table: str) -> bytes:
        """The columns of a table as a message of Arrow."""
        with self.ask(context, statement("serve/flight.columns"), {"table": table}) as answered:
            return bytes(answered.schema.serialize().to_pybytes())

    def of(self, context: flight.ServerCallContext, message: Any) -> tuple[str, list[Any]]:
        """The SQL and the parameters of a prepared statement. Raises ValueError if this person has none like it."""
        if name_of(message) != "CommandPreparedStatementQuery":
            raise ValueError(f"This server does not answer {name_of(message)}.")
        user, sql, values = self.prepared.get(message.prepared_statement_handle, (None, "", []))
        if user != context.get_middleware("admission").user.name:
            raise ValueError("There is no such prepared statement. It may have been closed.")
        return sql, values

    def do_put(
        self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor, reader: Any, writer: Any
    ) -> None:
        """Take the parameters of a prepared statement. Anything else would write, which the gate refuses."""
        with as_flight():
            message = unpack(descriptor.command)
            if name_of(message) != "CommandPreparedStatementQuery":
                raise Refused("forbidden", "This server only reads: send a query.")
            sql, _ = self.of(context, message)
            table = reader.read_all()
            if table.num_rows != 1:
                raise ValueError(f"A query takes one row of parameters, not {table.num_rows}.")
            user = context.get_middleware("admission").user.name
            self.prepared[message.prepared_statement_handle] = (user, sql, [each[0].as_py() for each in table.columns])

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[bytes]:
        """Prepare a statement, or forget it."""
        with as_flight():
            message = unpack(action.body.to_pybytes())
            if action.type == "CreatePreparedStatement":
                handle = secrets.token_bytes(16)
                self.prepared[handle] = (context.get_middleware("admission").user.name, message.query, [])
                while len(self.prepared) > PREPARED:
                    del self.prepared[next(iter(self.prepared))]
                yield pack("ActionCreatePreparedStatementResult", prepared_statement_handle=handle)
            elif action.type == "ClosePreparedStatement":
                self.prepared.pop(message.prepared_statement_handle, None)
            else:
                raise ValueError(f"This server does not know the action {action.type!r:.80}.")

    def list_actions(self, context: flight.ServerCallContext) -> list[tuple[str, str]]:
        """The actions that clients may ask for."""
        return [("CreatePreparedStatement", "Prepare a query."), ("ClosePreparedStatement", "Forget it.")]


def name_of(message: Any) -> str:
    """The name of a message."""
    name: str = message.DESCRIPTOR.name
    return name


class FlightDoor:
    """The Flight door, in a thread."""

    def __init__(self, gate: Gate, address: Address) -> None:
        """Set it up. Raises OptionError if the certificate or the key cannot be read."""
        self.gate = gate
        self.address = address
        self.tls = read_certificate(address)
        self.scheme = "grpc+tls" if self.tls else "grpc"

    def start(self) -> str:
        """Listen, and return the address. Raises OptionError if that is not possible."""
        with bind(self.address) as listening:  # it says why a port cannot be had
            port = listening.getsockname()[1]
        self.server = FlightServer(self.gate, self.address.url(self.scheme, port), self.tls)
        self.ending = threading.Thread(target=self.server.shutdown, daemon=True)
        return self.address.url(self.scheme, self.server.port)

    def stop(self) -> None:
        """Take no new calls."""
        self.ending.start()

    def join(self) -> None:
        """Wait until all answers are sent, for some seconds."""
        self.ending.join(GRACE)


def read_certificate(address: Address) -> tuple[bytes, bytes] | None:
    """The certificate and its key, or None without TLS. Raises OptionError."""
    if address.tls_cert is None or address.tls_key is None:
        return None
    try:
        return address.tls_cert.read_bytes(), address.tls_key.read_bytes()
    except OSError as error:
        raise OptionError(f"The certificate or its key cannot be used: {error.strerror or error}.") from error
