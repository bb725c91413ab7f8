"""`connect()`: the one door to an atlas file."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb.catalog import statement
from sigdb.errors import AtlasError, AtlasLockedError, AtlasNotFoundError, AtlasVersionError, message
from sigdb.manifest import is_address, is_lake
from sigdb.udf import register

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["SCHEMA_VERSION", "connect", "schema_version"]

SCHEMA_VERSION = 4

# What no atlas can be called, since DuckDB names the database after the file. The schemas of an atlas, beside main, the
# second and third for views of signatures; those of every database; the file that `sigdb optimize` writes.
RESERVED = ("sigdb_data", "cell_scores", "sample_scores", "information_schema", "pg_catalog", "sigdb_new")

# What a locked connection may not do: reach files and networks, load extensions.
LOCKED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


def connect(path: str | os.PathLike[str], *, read_only: bool = True, locked: bool = False) -> duckdb.DuckDBPyConnection:
    """Open an atlas file, or a lake, which is the folder of an export, or its address (s3://..., http://...).

    Returns a plain DuckDB connection: the views and macros are in the file, so everything DuckDB can do works on it. It
    is set up so that scores of all cells are fast (see `speed_up`), and a read-only one has the function
    `signature_score_py` (see `register`). `locked`, for queries of people you do not trust:
    it can read nothing but this file, write nothing at all, and none of this can be undone; a connection that is merely
    read-only can read and write other files of the machine. Locked and other connections to one file do not go
    together in one process.

    Raises AtlasNotFoundError, AtlasError (not an atlas), AtlasLockedError (open for writing elsewhere) or
    AtlasVersionError (made by a newer sigdb, or by an older one and in need of `sigdb upgrade`).
    """
    if locked and not read_only:
        raise AtlasError("A locked connection is read-only.")
    if read_only and is_lake(path):
        con = open_folder(path, locked=locked)
    else:
        con = open_file(path, read_only=read_only, config=LOCKED if locked else {})
    try:
        if locked or not read_only:
            check_tables(con, path)
        check_version(con, path)
        speed_up(con)
        if read_only:
            register(con)
        if locked:
            con.execute("SET lock_configuration = true")
    except AtlasError:
        con.close()
        raise
    except duckdb.Error as error:
        con.close()
        raise AtlasError(
            f"{path} cannot be read: {message(error)}. If it shows a lake that has changed since, make it anew: "
            "sigdb attach-lake"
        ) from error
    return con


def check_tables(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError for a file that only shows a lake (see `sigdb.lake`): neither written to nor locked."""
    if con.execute(statement("queries/shows_lake")).fetchall():
        raise AtlasError(
            f"{path} shows a lake, and holds no rows of its own, so it can be neither written to nor locked. "
            "Write to the atlas that the lake comes from, and export it again; or make an atlas of the lake: "
            "sigdb import-lake"
        )


def open_folder(path: str | os.PathLike[str], *, locked: bool) -> duckdb.DuckDBPyConnection:
    """Open a lake (see `sigdb.lake`) for reading; AtlasError if it is to be locked, which it cannot be."""
    from sigdb.lake import open_lake  # which needs this module

    if locked:
        raise AtlasError(
            f"{path} is a lake, which cannot be locked: DuckDB lets whoever may read its files also overwrite them. "
            " `sigdb import-lake` makes an atlas file of it, which can be."
        )
    return open_lake(path)


def speed_up(con: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB sum by cell in an array, not in a hash table, and read the genes of a score in one go.

    perfect_ht_threshold is the number of bits of the largest key for which DuckDB keeps such an array: those of the
    last cell_id, 26 at most (1 GB a thread). DuckDB 2.0 must also be kept from partitioning such sums.
    dynamic_or_filter_threshold is the number of genes up to which it skips row groups that hold none of them. What
    each is worth is in benchmarks/README.md.
    """
    ((last,),) = con.execute("SELECT coalesce(max(cell_id), 0) FROM sigdb_data.cell_data").fetchall()
    con.execute("SET perfect_ht_threshold = " + str(min(max(12, int(last).bit_length() + 1), 26)))
    con.execute("SET dynamic_or_filter_threshold = 1000")
    if int(duckdb.__version__.split(".")[0]) >= 2:
        con.execute("SET disabled_optimizers = 'partitioned_execution'")


def open_file(
    path: str | os.PathLike[str], *, read_only: bool, config: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Open an existing DuckDB file without looking at what is in it."""
    check_name(Path(path))
    if is_lake(path):
        kind = "an address" if is_address(str(path)) else "a folder"
        raise AtlasError(
            f"{path} is {kind}, not an atlas file. A lake is only read; `sigdb import-lake` makes an atlas of it."
        )
    if not Path(path).is_file():
        raise AtlasNotFoundError(
            f"There is no atlas at {path}. `sigdb ingest {path} ...` or `sigdb demo {path}` makes one."
        )
    with explained(path):
        return duckdb.connect(str(Path(path).absolute()), read_only=read_only, config=config or {})


@contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Have a block that opens a DuckDB file raise our errors, which say what to do."""
    try:
        yield
    except duckdb.IOException as error:
        # At its start: the path follows, and can say anything.
        if str(error).startswith("IO Error: Could not set lock"):
            raise AtlasLockedError(
                f"{path} is open in another process: an atlas can have one writer, or any number of readers. "
                f"Close the other one and try again. ({_first_line(error)})"
            ) from error
        raise AtlasError(f"{path} cannot be opened as a DuckDB file: {_first_line(error)}") from error
    except duckdb.ConnectionException as error:
        raise AtlasError(
            f"{path} is open in this process in another way (locked, or for writing, or neither). "
            "Close that connection first."
        ) from error
    except duckdb.Error as error:
        raise AtlasError(f"{path} cannot be opened: {_first_line(error)}") from error


def check_name(path: Path) -> None:
    """Raise AtlasError for the file names that cannot be."""
    if (name := path.name.split(".")[0].lower()) in RESERVED:
        raise AtlasError(
            f"An atlas cannot be called {path.name}: {name} is the name of a schema in it, or of a file that sigdb "
            "attaches to it. Give it another name."
        )


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
    check_schema(schema_version(con, path), path, f"Run: sigdb upgrade {path}")


def check_schema(found: int, path: str | os.PathLike[str], way_out: str) -> None:
    """Raise AtlasVersionError unless a schema is that of this sigdb. way_out: what to do if it is an older one."""
    if found > SCHEMA_VERSION:
        raise AtlasVersionError(
            f"{path} has atlas schema {found}; this sigdb knows schemas up to {SCHEMA_VERSION}. "
            "Update it: pip install --upgrade sigdb-atlas"
        )
    if found < SCHEMA_VERSION:
        raise AtlasVersionError(f"{path} has atlas schema {found}; this sigdb reads schema {SCHEMA_VERSION}. {way_out}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
