"""Interrupt the queries of connections that only read, from a handler of signals or another thread."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    import duckdb

__all__ = ["can_interrupt", "interrupt_readers"]

# The open connections and cursors that only read. DuckDB does not interrupt a cursor with its connection.
readers: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()


def can_interrupt(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Remember a connection that only reads, for `interrupt_readers`, and return it."""
    readers.add(con)
    return con


def interrupt_readers() -> None:
    """End the queries that run in these connections."""
    with suppress(RuntimeError):  # another thread opens a connection
        for con in list(readers):
            import duckdb  # slow to import, but here it is imported already

            with suppress(duckdb.ConnectionException):  # it is closed
                con.interrupt()
