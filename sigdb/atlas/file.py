"""An atlas as a file: open it, lock it, check its name and version, put it in place."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb import statements
from sigdb.disk import is_address, is_lake
from sigdb.errors import (
    AtlasError,
    AtlasLockedError,
    AtlasNotFoundError,
    AtlasVersionError,
    message,
)
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


__all__ = ["SCHEMA_VERSION", "little_memory", "schema_version"]

# The oldest format that holds what we need. Files written so open in DuckDB 1.4.2 to 2.0, its shell,
# Node, WebAssembly; of those that DuckDB 2.0 writes, older ones cannot find the metadata of some.
STORAGE_VERSION = "v1.2.0"
# Rows of a row group. Scores compress to 3.3 to 3.6 bytes, so that as many fill a block of 262,136 bytes and half of a
# second one, which cell ids share; as many as DuckDB would take, 122,880, leave a third of a second one empty. Smaller
# ones cost memory, since DuckDB holds some of each until a transaction ends.
ROW_GROUP_SIZE = 114_688
# Of what DuckDB sorts: twice as many as it hands on at a time, or there would be small ones between large ones.
SORTED_ROW_GROUP_SIZE = 245_760
# Held while a file is attached anew, when for a moment it is nobody's: another thread would find no atlas.
opening = Lock()
# What DuckDB may take to sort an atlas; what does not fit waits on disk.
MEMORY = "512MB"


@contextmanager
def little_memory(con: duckdb.DuckDBPyConnection, limit: str = MEMORY) -> Iterator[None]:
    """Have DuckDB keep no more than `limit` of what a block writes and sorts in memory, however much that is."""
    con.execute("SET memory_limit = '" + limit + "'")
    try:
        yield
    finally:
        # By another connection: where the block has failed, so would this in its transaction, and hide the reason.
        con.cursor().execute("RESET memory_limit")


def publish(made: Path, path: Path) -> None:
    """Give a file its name in one step. Raises AtlasError if another process was faster."""
    try:
        os.link(made, path)
    except OSError:
        # There is one of that name, or the file system has no hard links.
        if path.exists():
            raise AtlasError(
                f"{path} has been made by another process meanwhile. Try again when that is done, to add to it."
            ) from None
        made.rename(path)


def log_of(path: Path) -> Path:
    """Where DuckDB keeps what is committed and not yet in the file."""
    return path.with_name(f"{path.name}.wal")


def remove(path: Path) -> None:
    """Remove a DuckDB file and its log, if there are any."""
    path.unlink(missing_ok=True)
    log_of(path).unlink(missing_ok=True)


def attach_new(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach a file as sigdb_new, to sort rows into; a new one is of a format that old DuckDB reads."""
    attach(con, path, "sigdb_new", f"ROW_GROUP_SIZE {SORTED_ROW_GROUP_SIZE}, STORAGE_VERSION '{STORAGE_VERSION}'")


def open_to_write(
    opener: Callable[..., duckdb.DuckDBPyConnection], path: str | os.PathLike[str]
) -> duckdb.DuckDBPyConnection:
    """Open a file with `open_atlas` or `open_file`, so that what is written to it has row groups of ROW_GROUP_SIZE."""
    with opening:
        con = opener(path, read_only=False)
        try:
            set_row_group_size(con, Path(path))
        except BaseException:
            con.close()
            raise
    return con


def set_row_group_size(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach the file of a connection anew, so that what is written to it has row groups of ROW_GROUP_SIZE.

    DuckDB takes that as an option of ATTACH and of nothing else. Where others have the file in this process, who would
    lose it, row groups are of DuckDB's own size, and take more room. None may open it meanwhile.
    """
    ((n_connections,),) = con.execute("FROM duckdb_connection_count()").fetchall()
    if n_connections > 1:
        return
    quoted = statements.current_database(con)
    with explained(path):
        # The database that a connection uses cannot be detached, so it uses another one meanwhile.
        con.execute("ATTACH ':memory:' AS sigdb_new")
        con.execute("USE sigdb_new")
        try:
            con.execute("DETACH " + quoted)
        except duckdb.FatalException as error:
            raise AtlasError(
                f"{path} cannot be written to: the changes in its log, {log_of(path).name}, do not fit into the file. "
                f"Make room on the disk and try again; nothing is lost, and it can be read. ({error})"
            ) from error
        attach(con, path, quoted, f"ROW_GROUP_SIZE {ROW_GROUP_SIZE}")
        con.execute("USE " + quoted)
        con.execute("DETACH sigdb_new")


def attach(con: duckdb.DuckDBPyConnection, path: Path, name: str, options: str) -> None:
    """Attach a file. name: quoted."""
    # ATTACH takes its path as a literal only; sqlglot quotes it. Absolute, or `sqlite:x` would mean an extension.
    con.execute("ATTACH " + statements.literal(str(path.absolute())) + " AS " + name + " (" + options + ")")


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


def check_tables(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError for a file that only shows a lake (see `sigdb.lake`): neither written to nor locked."""
    if con.execute(statement("atlas/inspect.shows_lake")).fetchall():
        raise AtlasError(
            f"{path} shows a lake, and holds no rows of its own, so it can be neither written to nor locked. "
            "Write to the atlas that the lake comes from, and export it again; or make an atlas of the lake: "
            "sigdb import-lake"
        )


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


def open_atlas(
    path: str | os.PathLike[str], *, read_only: bool, config: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Open an atlas file of the schema of this sigdb, set up for fast scores (see `speed_up`)."""
    con = open_file(path, read_only=read_only, config=config)
    with readable(con, path):
        if not read_only:
            check_tables(con, path)
        check_version(con, path)
        speed_up(con)
    return con


@contextmanager
def readable(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> Iterator[None]:
    """Close a connection if a block that reads from it fails, and explain errors of DuckDB."""
    try:
        yield
    except AtlasError:
        con.close()
        raise
    except duckdb.Error as error:
        con.close()
        raise AtlasError(
            f"{path} cannot be read: {message(error)}. If it shows a lake that has changed since, make it anew: "
            "sigdb attach-lake"
        ) from error


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
