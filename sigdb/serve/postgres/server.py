"""The Postgres door: connections of clients, with TLS, tokens and rows that are sent as they come.

pg-mimic speaks the protocol. It has no TLS, and it holds a whole result in memory, so this module replaces these parts.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pg_mimic as pg
from pg_mimic import messages
from pg_mimic.connection import Connection, _field_specs, command_tag, is_transaction_end
from pg_mimic.results import encode_row
from pg_mimic.stream import ConnectionClosed, PgStream

from sigdb.serve.limits import Refused
from sigdb.serve.postgres.session import AtlasSession, as_postgres
from sigdb.serve.waiting import THREADS

if TYPE_CHECKING:
    import ssl

    from sigdb.serve.gate import Gate

__all__ = ["PostgresServer"]

# Bytes of a message: before a client has shown its token, and after.
UNKNOWN, KNOWN = 10_000, 16 << 20
# Seconds in which a client must show its token.
GREETING = 30
# Seconds between two looks whether a client is still there while its query runs.
LOOK = 0.5
# Rows that are sent before the client has to take some.
ROWS = 1000


class Stream(PgStream):
    """Messages of one client, of bounded size."""

    limit = UNKNOWN
    is_secure = False

    async def drain_within(self, seconds: float) -> None:
        """Wait until the client takes what was written. Ends the connection if it does not."""
        try:
            async with asyncio.timeout(seconds):
                await self.drain()
        except TimeoutError:
            self.writer.transport.abort()
            raise ConnectionClosed from None

    async def start_tls(self, tls: ssl.SSLContext) -> None:
        """Continue behind TLS. What was sent before belongs to nobody, so it ends the connection."""
        if self.reader._buffer:
            raise ConnectionClosed
        await self.writer.start_tls(tls)
        self.is_secure = True

    async def _read_exactly(self, n: int) -> bytes:
        if n > self.limit:
            raise ConnectionClosed
        return bytes(await super()._read_exactly(n))


class AtlasConnection(Connection):
    """One client."""

    session: AtlasSession
    stream: Stream

    async def _authenticate(self) -> bool:
        """Admit the client if its password is a token, and its user the name of the token."""
        gate = self.session.gate
        if self.server.tls is not None and not self.stream.is_secure:
            await self.refuse(pg.PgError("28000", "This server takes connections behind TLS only (sslmode=require)."))
            return False
        try:
            self.session.token = await self.password() if gate.tokens is not None else None
            self.session.client = self.stream.writer.get_extra_info("peername")[0]
            self.session.name = gate.admit(self.session.token, door="postgres", client=self.session.client).name
            if gate.tokens is not None and self.session.name != self.username:
                raise Refused("unauthenticated", f"This token is not the one of {self.username!r:.80}.")
            self.session.atlas = gate.atlases.find(self.startup_params.get("database")).name
        except Refused as error:
            await self.refuse(as_postgres(error))
            return False
        self.stream.limit = KNOWN
        self.stream.write(messages.make_authentication_ok())
        return True

    async def password(self) -> str:
        """Ask for the password."""
        self.stream.write(messages.make_authentication_cleartext_password())
        await self.stream.drain()
        async with asyncio.timeout(GREETING):
            tag, payload = await self.stream.read_message()
        if tag != messages.PASSWORD:
            raise ConnectionClosed
        return bytes(payload).rstrip(b"\x00").decode(errors="replace")

    async def refuse(self, error: pg.PgError) -> None:
        """Say why there is no connection."""
        fields = {"S": "FATAL", "V": "FATAL", "C": error.sqlstate, "M": error.message}
        self.stream.write(messages.make_error_response(fields))
        await self.stream.drain()

    async def _dispatch(self, tag: bytes, payload: bytes) -> None:
        """Handle a message. A query ends with its portal, and a portal with the transaction."""
        try:
            await super()._dispatch(tag, payload)
        finally:
            if tag in (messages.QUERY, messages.SYNC) and self.tx_status != b"T":
                self.portals.clear()
            await self.session.close_all_but({entry.portal for entry in self.portals.values()})

    async def _handle_simple_query(self, sql: str) -> None:
        """Run a text as one statement, after the settings and transactions that ODBC writes before it.

        pg-mimic would split the text and write each statement in its own SQL.
        """
        first, _, rest = sql.partition(";")
        while rest.strip() and await self.session.answer(first, []):
            await self._execute_one_simple_statement(first)
            sql = rest
            first, _, rest = sql.partition(";")
        await self._execute_one_simple_statement(sql)

    async def _execute_one_simple_statement(self, sql: str) -> None:
        if not sql.strip(" \t\r\n;"):
            self.stream.write(messages.make_empty_query_response())
            return
        self.check_transaction(sql)
        statement = await self.session.prepare(sql, [])
        portal = statement.bind([])
        columns = await statement.describe()
        if columns is not None:
            self.stream.write(messages.make_row_description(_field_specs(columns)))
        n, _ = await self.send_rows(portal, columns, [], 0)
        self.stream.write(messages.make_command_complete(command_tag(sql, n)))

    async def _handle_execute(self, parsed: Any) -> None:
        entry = self._get_portal(parsed.portal_name)
        self.check_transaction(entry.sql)
        n, more = await self.send_rows(entry.portal, entry.columns, entry.result_format_codes, parsed.max_rows)
        entry.rows_returned += n
        done = messages.make_command_complete(command_tag(entry.sql, entry.rows_returned))
        self.stream.write(messages.make_portal_suspended() if more else done)

    def check_transaction(self, sql: str) -> None:
        """Raise PgError in a transaction that has failed."""
        if self.tx_status == b"E" and not is_transaction_end(sql):
            raise pg.PgError("25P02", "This transaction has failed. End it first.")

    async def send_rows(
        self, portal: pg.Portal, columns: list[pg.ResultColumn] | None, formats: list[int], wanted: int
    ) -> tuple[int, bool]:
        """Send `wanted` rows, or all for 0, as the client takes them.

        Returns how many were sent, and whether there may be more.
        """
        sent, more = 0, True
        while more and (not wanted or sent < wanted):
            rows, more = await portal.execute(min(ROWS, wanted - sent) if wanted else ROWS)
            for row in rows if columns is not None else []:
                try:
                    self.stream.write(messages.make_data_row(encode_row(row, columns, formats)))
                except ValueError as error:
                    raise pg.PgError("0A000", str(error)) from None
            await self.stream.drain_within(self.session.gate.limits.seconds)
            sent += len(rows)
        return sent, more


class PostgresServer(pg.PgServer):
    """Listens for Postgres clients."""

    def __init__(self, gate: Gate, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self.new_session, server_version=f"16.0 (sigdb {version('sigdb-atlas')})")
        self.gate = gate
        self.tls = tls
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="postgres")

    def stop_listening(self) -> None:
        """Take no new connections."""
        if self._server is not None:
            self._server.close()

    async def end(self) -> None:
        """Close all connections, and wait until their queries have ended."""
        self.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.threads.shutdown()

    def new_session(self) -> AtlasSession:
        """The session of a new client."""
        return AtlasSession(self.gate, self.threads)

    async def _handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves. Messages that are not of the protocol end the connection."""
        stream = Stream(reader, writer)
        with suppress(ConnectionClosed, OSError, TimeoutError, ValueError, struct.error):
            async with asyncio.timeout(GREETING):
                started = await self._negotiate_startup(stream)
            if started is not None:
                await self.serve(stream, started)

    async def _negotiate_startup(self, stream: Stream) -> dict[str, str] | None:
        """What the client said first, behind TLS if it wants that. None if it only cancels the query of another."""
        code, payload = await stream.read_startup_packet()
        while code in (messages.SSL_REQUEST_CODE, messages.GSSENC_REQUEST_CODE):
            tls = self.tls if code == messages.SSL_REQUEST_CODE and not stream.is_secure else None
            stream.write(b"N" if tls is None else b"S")
            await stream.drain()
            if tls is not None:
                await stream.start_tls(tls)
            code, payload = await stream.read_startup_packet()
        if code == messages.CANCEL_REQUEST_CODE:
            self.cancel(*messages.parse_cancel_request(payload))
            return None
        started: dict[str, str] = messages.parse_startup_message(payload)
        return started

    async def serve(self, stream: Stream, started: dict[str, str]) -> None:
        """Serve a client that has said who it is."""
        pid = self._allocate_pid()
        connection = AtlasConnection(stream, self.new_session(), self, pid, secrets.randbits(31), started)
        self._connections[pid] = connection
        watch = asyncio.create_task(cancel_when_left(connection))
        try:
            await connection.run()
        finally:
            watch.cancel()
            del self._connections[pid]


async def cancel_when_left(connection: AtlasConnection) -> None:
    """Stop the query of a client that is gone. pg-mimic would notice it only afterwards."""
    while not connection.stream.reader.at_eof():
        await asyncio.sleep(LOOK)
    connection.request_cancel()
