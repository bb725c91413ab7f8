"""Whether the atlas that a command reads is trusted: the option --trusted."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["ATLAS_TO_READ", "connect", "is_trusted", "keep_trusted"]

# The help of the argument that names an atlas to read. Every command that has it also gets the option.
ATLAS_TO_READ = "An atlas file, or a lake: its folder or address."

trusted: ContextVar[bool] = ContextVar("trusted", default=False)


def keep_trusted(value: bool) -> None:
    """Keep the value of the option for `connect`."""
    trusted.set(value)


def is_trusted() -> bool:
    """Whether the command that runs was given --trusted."""
    return trusted.get()


def connect(atlas: str) -> duckdb.DuckDBPyConnection:
    """Open an atlas to read, as `sigdb.connect` does with the option of the command that runs."""
    from sigdb.connection import connect

    return connect(atlas, trusted=is_trusted())
