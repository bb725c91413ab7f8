"""Whether the atlas that a command reads is trusted: the option --trusted."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["ATLAS_TO_READ", "connect", "is_trusted", "keep_trusted", "open_to_read"]

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


def open_to_read(atlas: str) -> duckdb.DuckDBPyConnection:
    """Open an atlas as `connect` does, but faster: without the function signature_score_py, which is slow to load."""
    from sigdb.disk import is_lake

    if is_lake(atlas):
        from sigdb.lake.open import open_lake

        return open_lake(atlas)
    from sigdb.atlas.file import open_atlas

    return open_atlas(atlas, read_only=True, trusted=is_trusted())
