"""The Postgres door, in a thread."""

from __future__ import annotations

import asyncio
import ssl
from threading import Thread
from typing import TYPE_CHECKING

from sigdb.errors import OptionError
from sigdb.serve.postgres.server import PostgresServer
from sigdb.serve.server import GRACE, bind

if TYPE_CHECKING:
    from sigdb.serve.gate import Gate
    from sigdb.serve.server import Address

__all__ = ["PostgresDoor"]


class PostgresDoor:
    """Clients of Postgres: psql, psycopg, JDBC, ODBC, R and others."""

    def __init__(self, gate: Gate, address: Address) -> None:
        """Set it up. Raises OptionError if the certificate or the key cannot be read."""
        self.address = address
        self.server = PostgresServer(gate, read_certificate(address))
        self.loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.loop.run_forever, daemon=True, name="postgres")

    def start(self) -> str:
        """Listen, and return the address."""
        listening = bind(self.address)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start_server(sock=listening), self.loop).result()
        return self.address.url("postgresql", listening.getsockname()[1])

    def stop(self) -> None:
        """Take no new connections."""
        self.loop.call_soon_threadsafe(self.server.stop_listening)

    def join(self) -> None:
        """Close all connections."""
        asyncio.run_coroutine_threadsafe(self.server.end(), self.loop).result(GRACE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(GRACE)


def read_certificate(address: Address) -> ssl.SSLContext | None:
    """The certificate and its key, or None without TLS. Raises OptionError."""
    if address.tls_cert is None:
        return None
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        tls.load_cert_chain(address.tls_cert, address.tls_key)
    except OSError as error:
        raise OptionError(f"The certificate or its key cannot be used: {error.strerror or error}.") from error
    return tls
