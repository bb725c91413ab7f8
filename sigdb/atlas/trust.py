"""What in an atlas file could run something that its reader did not ask for: views as tables, and captured functions.

A view or a macro runs whenever a query names it. sigdb names the base tables of an atlas and the functions of DuckDB as
soon as it opens a file. So before it asks anything, it looks into the catalogue, and refuses a file in which these
names stand for something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.errors import AtlasError, listed
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import os

    import duckdb

__all__ = ["check_captures", "check_tables", "confine"]


def confine(con: duckdb.DuckDBPyConnection, *, network: bool) -> None:
    """Keep all queries of a connection away from the files of the machine, and from the network unless `network`.

    The open file stays readable. DuckDB has no place on disk then for what does not fit into memory. It does not take
    this back. (enable_external_access alone leaves DuckDB the open file, its log and its temporary files to write to.)
    """
    if not network:
        con.execute("SET enable_external_access = false")
    con.execute("SET disabled_filesystems = 'LocalFileSystem'")


def check_captures(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError for macros of the file with names of functions of DuckDB. All queries would use them."""
    if names := [name for (name,) in run_statement(con, "atlas/inspect.captured_functions")]:
        raise AtlasError(
            f"{path} is refused: {len(names)} of its macros have names of DuckDB's functions, and every query would "
            f"run them instead: {listed(names)}. Drop them with DuckDB (DROP MACRO), or get the file from somebody "
            "whom you trust. `trusted=True` reads it all the same."
        )


def check_tables(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError for base tables that are views. A view can run any function when it is read."""
    if names := [name for (name,) in run_statement(con, "atlas/inspect.shows_lake")]:
        raise AtlasError(
            f"{path} is refused: {len(names)} of its tables are views, which can run anything when they are read: "
            f"{listed([f'sigdb_data.{name}' for name in names], 3)}. A file of `sigdb.attach_lake(lake, path)` is made "
            "so. If you made it, or trust who did, use `trusted=True`. Otherwise, get the atlas as a file with rows "
            "of its own."
        )
