"""Start the doors of a server, and stop them gracefully."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Protocol

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sigdb.errors import OptionError
from sigdb.serve.http import make_app
from sigdb.serve.limits import Refused

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sigdb.serve.gate import Gate

__all__ = ["GRACE", "Address", "Door", "HttpDoor", "bind", "check_address", "opened"]

# Seconds that running queries get when the server stops.
GRACE = 5.0
# Open connections over HTTP. Requests on others are refused.
CONNECTIONS = 512
# Seconds after which a connection is closed on which nothing was asked.
SILENT = 10


@dataclass(frozen=True)
class Address:
    """Where a door listens, and its certificate and key if it speaks TLS."""

    host: str = "127.0.0.1"
    port: int = 8080
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def url(self, scheme: str, port: int) -> str:
        """The address with the port that is listened at."""
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

    def is_loopback(self) -> bool:
        """Whether only this machine can call it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Door(Protocol):
    """A protocol by which people reach the gate."""

    def start(self) -> str:
        """Listen, and return the address for people. Raises OptionError if that is not possible."""

    def stop(self) -> None:
        """Take no new connections. Does not wait."""

    def join(self) -> None:
        """Wait until what runs has ended, after the gate was closed."""


def check_address(address: Address, gate: Gate) -> None:
    """Raise OptionError for a server that anybody could ask, or with half of what TLS needs."""
    if gate.tokens is None and not address.is_loopback():
        raise OptionError(
            f"Without tokens, a server listens on this machine only, and `host={address.host!r}` is open to others. "
            "Make a token for each person, and name their file: `token_file`."
        )
    if (address.tls_cert is None) != (address.tls_key is None):
        raise OptionError("TLS needs a certificate and its key: `tls_cert`, `tls_key`.")


def check_networks(trusted_proxy: Iterable[str]) -> None:
    """Raise OptionError unless these are all addresses or networks."""
    for each in trusted_proxy:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise OptionError(
                f"`trusted_proxy={each!r}` is not the address of a proxy, such as 127.0.0.1, or its network, such as "
                "10.0.0.0/8."
            ) from error


def bind(address: Address) -> socket.socket:
    """A socket that listens. Raises OptionError if the port is taken, or the host is none of this machine."""
    try:
        family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(place[:2], family=family, backlog=128)
    except OSError as error:
        # The text of create_server's error also holds the address as Python writes it.
        is_taken = error.errno == errno.EADDRINUSE
        reason = "another program has this port" if is_taken else (error.strerror or error)
        raise OptionError(
            f"The server cannot listen at {address.host}, port {address.port}: {reason}. "
            "Choose another port, with `port`, or stop the program that has it."
        ) from error


class Connection(H11Protocol):
    """A connection over HTTP, which is closed if nothing is sent. Otherwise, silent ones would keep out all others."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close it in some seconds, unless something comes before."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(SILENT, self.timeout_keep_alive_handler)


class HttpDoor:
    """The HTTP door, in a thread."""

    def __init__(self, gate: Gate, address: Address, *, mcp: bool = False, trusted_proxy: Sequence[str] = ()) -> None:
        """Set it up, also for agents if `mcp`.

        trusted_proxy: addresses and networks of proxies, which are believed when they say who the client is.

        Raises OptionError if one of them is not an address, or if the certificate or the key cannot be read.
        """
        check_networks(trusted_proxy)
        self.address = address
        hosts = None if gate.tokens is not None else frozenset({"localhost", "127.0.0.1", "::1", address.host.lower()})
        config = uvicorn.Config(
            make_app(gate, hosts=hosts, mcp=mcp, check_room=self.check_room),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on" if mcp else "off",
            ws="none",
            http=Connection,
            proxy_headers=bool(trusted_proxy),
            forwarded_allow_ips=list(trusted_proxy),
            timeout_graceful_shutdown=int(GRACE),
            ssl_certfile=address.tls_cert,
            ssl_keyfile=address.tls_key,
        )
        try:
            config.load()
        except OSError as error:
            raise OptionError(f"The certificate or its key cannot be used: {error.strerror or error}.") from error
        self.server = uvicorn.Server(config)

    def check_room(self) -> None:
        """Raise Refused if there are too many connections."""
        if len(self.server.server_state.connections) > CONNECTIONS:
            raise Refused("busy", f"This server has {CONNECTIONS} open connections, its limit. Try again in a moment.")

    def start(self) -> str:
        """Listen, and return the address of the page."""
        listening = bind(self.address)
        self.thread = Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()
        return self.address.url("https" if self.address.tls_cert else "http", listening.getsockname()[1])

    def stop(self) -> None:
        """Take no new connections."""
        self.server.should_exit = True

    def join(self) -> None:
        """Wait until all answers are sent, for some seconds."""
        self.thread.join(GRACE)


@contextmanager
def opened(gate: Gate, doors: Sequence[Door]) -> Iterator[list[str]]:
    """Open the doors. The block gets their addresses; afterwards, queries that run get some seconds to end."""
    with ExitStack() as stack:
        stack.callback(gate.close, GRACE)
        addresses = []
        for door in doors:
            addresses.append(door.start())
            stack.callback(door.stop)
        yield addresses
    for door in doors:
        door.join()
