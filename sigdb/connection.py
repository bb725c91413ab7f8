"""`connect()`: the one door to an atlas file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from sigdb.errors import AtlasError, AtlasLockedError, AtlasNotFoundError, AtlasVersionError

if TYPE_CHECKING:
    import os

__all__ = ["SCHEMA_VERSION", "connect", "schema_version"]

SCHEMA_VERSION = 1


def connect(path: str | os.PathLike[str], *, read_only: bool = True) -> duckdb.DuckDBPyConnection:
    """Open an atlas.

    Returns a plain DuckDB connection: the views and macros are in the file, so everything DuckDB can do works on it.
    Raises AtlasNotFoundError, AtlasError (not an atlas), AtlasLockedError (open for writing elsewhere) or
    AtlasVersionError (made by a newer sigdb, or by an older one and in need of `sigdb upgrade`).
    """
    con = open_file(path, read_only=read_only)
    try:
        check_version(con, path)
    except AtlasError:
        con.close()
        raise
    return con


def open_file(path: str | os.PathLike[str], *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open an existing DuckDB file without looking at what is in it."""
    check_name(Path(path))
    if not Path(path).is_file():
        raise AtlasNotFoundError(
            f"There is no atlas at {path}. `sigdb ingest {path} ...` or `sigdb demo {path}` makes one."
        )
    try:
        return duckdb.connect(str(Path(path).absolute()), read_only=read_only)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise AtlasLockedError(
                f"{path} is open in another process: an atlas can have one writer, or any number of readers. "
                f"Close the other one and try again. ({_first_line(error)})"
            ) from error
        raise AtlasError(f"{path} cannot be opened as a DuckDB file: {_first_line(error)}") from error
    except duckdb.Error as error:
        raise AtlasError(f"{path} cannot be opened: {_first_line(error)}") from error


def check_name(path: Path) -> None:
    """Raise AtlasError for the one file name that cannot be: DuckDB names the database after the file."""
    if path.name.split(".")[0].lower() == "sigdb_data":
        raise AtlasError(f"An atlas cannot be called {path.name}: sigdb_data is the name of a schema in it.")


def schema_version(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> int:
    """The schema version recorded in the file; AtlasError if it is not an atlas."""
    try:
        rows = con.execute("SELECT value FROM sigdb_data.atlas_info WHERE key = 'schema_version'").fetchall()
    except duckdb.CatalogException as error:
        raise AtlasError(
            f"{path} is a DuckDB file, but not a sigdb atlas: it has no table sigdb_data.atlas_info."
        ) from error
    if not rows:
        raise AtlasError(f"{path} is not a whole atlas: it records no schema version.")
    return int(rows[0][0])


def check_version(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> None:
    """Raise AtlasVersionError unless the file has the schema of this sigdb."""
    found = schema_version(con, path)
    if found > SCHEMA_VERSION:
        raise AtlasVersionError(
            f"{path} has atlas schema {found}; this sigdb knows schemas up to {SCHEMA_VERSION}. "
            "Update it: pip install --upgrade sigdb-atlas"
        )
    if found < SCHEMA_VERSION:
        raise AtlasVersionError(
            f"{path} has atlas schema {found}; this sigdb reads schema {SCHEMA_VERSION}. Run: sigdb upgrade {path}"
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
