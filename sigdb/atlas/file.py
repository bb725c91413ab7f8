"""An atlas as a file: open it, check its name and version, put a new one in place."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb import statements
from sigdb.atlas.trust import check_captures, check_tables, confine
from sigdb.disk import check_atlas, is_address, is_lake
from sigdb.errors import AtlasError, AtlasLockedError, AtlasVersionError, listed, message
from sigdb.interrupt import can_interrupt
from sigdb.literals import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


__all__ = [
    "ALL_CELLS",
    "ROW_GROUP_SIZE",
    "SCHEMA_VERSION",
    "attach_new",
    "check_name",
    "check_no_lake",
    "check_not_newer",
    "check_schema",
    "explain_read_errors",
    "little_memory",
    "log_of",
    "open_atlas",
    "open_file",
    "open_to_write",
    "put_in_place",
    "remove",
    "schema_version",
    "speed_up",
]

# The oldest storage format with everything that an atlas needs. DuckDB 1.4.2 to 2.0, its shell, Node and WebAssembly
# open such files. Older versions fail to find the metadata of some files in the format of DuckDB 2.0.
STORAGE_VERSION = "v1.2.0"
# Rows per row group. A score compresses to 3.3 to 3.6 bytes, so the scores of a row group fill one and a half blocks of
# 262,136 bytes, and cell ids fill the other half. DuckDB's default of 122,880 rows leaves a third of a block empty.
# Smaller row groups cost memory: DuckDB keeps a part of each until the transaction ends.
ROW_GROUP_SIZE = 114_688
# Rows per row group of sorted data. DuckDB sorts in batches of half this size, and any other size would leave small row
# groups between large ones.
SORTED_ROW_GROUP_SIZE = 245_760
# Held while a file is detached and attached again. While the file is detached, no connection owns it, and another
# thread could open it with other options.
attach_lock = Lock()
# Held while a file is opened and its settings are made. Otherwise, another thread could lock them in between.
settings_lock = Lock()
# Memory that DuckDB may use to sort an atlas. The rest goes to disk.
MEMORY = "512MB"


@contextmanager
def little_memory(con: duckdb.DuckDBPyConnection, limit: str = MEMORY) -> Iterator[None]:
    """Limit the memory that DuckDB uses for what the block writes and sorts. The rest goes to disk."""
    con.execute("SET memory_limit = " + literal(limit))
    try:
        yield
    finally:
        # On another connection: after a failure in a transaction, this one fails too, and would hide the first error.
        con.cursor().execute("RESET memory_limit")


def put_in_place(unfinished: Path, path: Path) -> None:
    """Give a finished file its name in one step. Raises AtlasError if another process was faster."""
    try:
        os.link(unfinished, path)
    except OSError:
        # A file of that name exists, or the file system has no hard links.
        if path.exists():
            raise AtlasError(
                f"{path} was created by another process in the meantime. To add to it, wait for that process, then try "
                "again."
            ) from None
        unfinished.rename(path)


def log_of(path: Path) -> Path:
    """The log of a DuckDB file, which holds the changes that are committed but not yet in the file."""
    return path.with_name(f"{path.name}.wal")


def remove(path: Path) -> None:
    """Remove a DuckDB file and its log, if they exist."""
    path.unlink(missing_ok=True)
    log_of(path).unlink(missing_ok=True)


def attach_new(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach a file as sigdb_new, or create it in the format of STORAGE_VERSION. Row groups suit sorted rows."""
    attach(con, path, "sigdb_new", f"ROW_GROUP_SIZE {SORTED_ROW_GROUP_SIZE}, STORAGE_VERSION '{STORAGE_VERSION}'")


def open_to_write(
    opener: Callable[..., duckdb.DuckDBPyConnection], path: str | os.PathLike[str]
) -> duckdb.DuckDBPyConnection:
    """Open a file for writing with `open_atlas` or `open_file`. New rows go into row groups of ROW_GROUP_SIZE."""
    with attach_lock:
        con = opener(path, read_only=False)
        try:
            set_row_group_size(con, Path(path))
        except BaseException:
            con.close()
            raise
    return con


def set_row_group_size(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Detach the file of a connection and attach it again, with row groups of ROW_GROUP_SIZE.

    Only ATTACH has this option. Other connections of this process would lose the file when it is detached. If there
    are any, the file stays attached, and row groups have DuckDB's default size, which takes more space. The caller
    holds `attach_lock`.
    """
    ((n_connections,),) = statements.run_statement(con, "atlas/inspect.connection_count")
    if n_connections > 1:
        return
    quoted = statements.current_database(con)
    with explain_open_errors(path):
        # The current database cannot be detached, so the connection uses another one in the meantime.
        con.execute("ATTACH ':memory:' AS sigdb_new")
        con.execute("USE sigdb_new")
        try:
            con.execute("DETACH " + quoted)
        except duckdb.FatalException as error:
            raise AtlasError(
                f"{path} cannot be written to: the changes in its log, {log_of(path).name}, do not fit into the file. "
                f"Make room on the disk and try again. Nothing is lost, and the atlas can be read. ({message(error)})"
            ) from error
        attach(con, path, quoted, f"ROW_GROUP_SIZE {ROW_GROUP_SIZE}")
        con.execute("USE " + quoted)
        con.execute("DETACH sigdb_new")


def attach(con: duckdb.DuckDBPyConnection, path: Path, name: str, options: str) -> None:
    """Attach a file under a name that is quoted already."""
    # ATTACH takes no bound parameter. The path is absolute because DuckDB takes `sqlite:x` for a file of an extension.
    con.execute("ATTACH " + literal(str(path.absolute())) + " AS " + name + " (" + options + ")")


SCHEMA_VERSION = 7
# The smallest and the largest id that a cell can have, a UINTEGER.
ALL_CELLS = (0, 2**32 - 1)

# perfect_ht_threshold: DuckDB's default, and the largest that sigdb sets (1 GB per thread).
FEWEST_BITS, MOST_BITS = 12, 26

# Names that no atlas can have. DuckDB names a database after its file, and the name must differ from the schemas of an
# atlas, the schemas of every database, and the name under which sigdb attaches a new file.
RESERVED = ("sigdb_data", "cell_scores", "sample_scores", "information_schema", "pg_catalog", "sigdb_new")

# Setting of a connection that reads: a name in a query is a table, and never a variable of the Python program. Its
# cursors keep it, which they would not after SET.
NO_VARIABLES = {"python_enable_replacements": "false"}
# Settings of a connection that is confined to its file (see `trust.confine`): nothing is written beside it, and DuckDB
# 1.4 stores no secrets.
CONFINED = {"temp_directory": "", "allow_persistent_secrets": "false"}
# Settings of a locked connection: it can also load no extensions.
LOCKED = CONFINED | {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


def check_no_lake(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError for a file whose tables are views over a lake. It can be neither written to nor locked."""
    if views := statements.run_statement(con, "atlas/inspect.shows_lake"):
        raise AtlasError(
            f"{path} shows a lake and holds no rows of its own, so it can be neither written to nor locked: "
            f"{listed([f'sigdb_data.{name}' for (name,) in views], 3)} are views. "
            "Write to the atlas that the lake comes from, and export it again with "
            "`sigdb.export_lake(atlas, lake)`. Or make an atlas of the lake with `sigdb.import_lake(lake, path)`."
        )


def speed_up(con: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB sum by cell in an array instead of a hash table, and read the genes of a score in one pass.

    perfect_ht_threshold is the largest number of bits in a key for which DuckDB uses an array. DuckDB 2.0 must also be
    kept from partitioning such sums. dynamic_or_filter_threshold is the largest number of genes for which DuckDB skips
    the row groups that contain none of them. benchmarks/README.md has the effect of each.
    """
    con.execute("SET perfect_ht_threshold = " + str(array_bits(con)))
    # For cursors, too: DuckDB would keep it for this connection only.
    con.execute("SET GLOBAL dynamic_or_filter_threshold = 1000")
    if int(duckdb.__version__.split(".")[0]) >= 2:
        con.execute("SET disabled_optimizers = 'partitioned_execution'")


def array_bits(con: duckdb.DuckDBPyConnection) -> int:
    """The bits of a cell_id for which an array pays: all bits of the last one, or DuckDB's default.

    Each thread has an array, of 16 bytes per possible cell_id. DuckDB does not count them as memory. So there are none
    if they would take half of the memory limit, or if less than an eighth of the ids are cells.
    """
    ((last, n_cells, threads, limit),) = statements.run_statement(con, "atlas/inspect.array_size")
    bits = int(last).bit_length()
    is_dense, size = last < 8 * n_cells, 16 * threads << bits
    return min(bits + 1, MOST_BITS) if is_dense and bits >= FEWEST_BITS and size <= bytes_of(limit) / 2 else FEWEST_BITS


def bytes_of(size: str) -> float:
    """The bytes of a size as DuckDB writes it: 12.7 GiB."""
    number, unit = size.split()
    return float(number) * 1024.0 ** ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"].index(unit)


def open_file(
    path: str | os.PathLike[str], *, read_only: bool, config: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Open an existing DuckDB file without checking that it is an atlas."""
    check_name(Path(path))
    if is_lake(path):
        kind = "an address" if is_address(str(path)) else "a folder"
        raise AtlasError(
            f"{path} is {kind}, not an atlas file. A lake is read-only. "
            "`sigdb.import_lake(lake, path)` makes an atlas file of it."
        )
    check_atlas(path)
    with explain_open_errors(path):
        if read_only:
            config = NO_VARIABLES | (config or {})
            return can_interrupt(duckdb.connect(str(Path(path).absolute()), read_only=True, config=config))
        # Without settings, so that it can be opened beside connections of DuckDB itself.
        con = duckdb.connect(str(Path(path).absolute()))
        con.execute("SET python_enable_replacements = false")
        return con


def open_atlas(
    path: str | os.PathLike[str],
    *,
    read_only: bool,
    locked: bool = False,
    trusted: bool = False,
    sorts: bool = False,
    limits: Mapping[str, object] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open an atlas file that has the schema of this sigdb, with settings for fast scores (see `speed_up`).

    A connection that only reads can reach no other file, unless the file is `trusted`, or the caller reads nothing but
    tables and `sorts` on disk. limits: settings of DuckDB for a locked connection.
    """
    confined = locked or (read_only and not trusted and not sorts)
    config = {**LOCKED, **(limits or {})} if locked else CONFINED if confined else {}
    with settings_lock:
        con = open_file(path, read_only=read_only, config=config)
        with explain_read_errors(con, path):
            # Another locked connection of this process may have made and locked the settings already.
            is_set = locked and statements.run_statement(con, "atlas/inspect.is_locked") == [(True,)]
            if confined and not is_set:
                confine(con, network=not locked)
            if not trusted:
                check_captures(con, path)
            if locked or not read_only:
                check_no_lake(con, path)
            elif not trusted:
                check_tables(con, path)
            check_version(con, path)
            if not is_set:
                speed_up(con)
                con.execute("SET lock_configuration = " + str(locked))
    return con


@contextmanager
def explain_read_errors(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> Iterator[None]:
    """Close a connection if the block that reads from it fails. Errors of DuckDB become AtlasError."""
    try:
        yield
    except AtlasError:
        con.close()
        raise
    except duckdb.Error as error:
        con.close()
        lake_changed = (
            " If this file shows a lake that has changed in the meantime, remove the file and make it again with "
            "`sigdb.attach_lake(lake, path)`."
        )
        raise AtlasError(f"{path} cannot be read: {message(error)}.{way_out(error, path) or lake_changed}") from error


@contextmanager
def explain_open_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of DuckDB in a block that opens a file into AtlasError or AtlasLockedError."""
    try:
        yield
    except duckdb.IOException as error:
        # Only the start of the message is compared: the path follows, and it may contain any words.
        if str(error).startswith("IO Error: Could not set lock"):
            raise AtlasLockedError(
                f"{path} is open in another process. An atlas can have one writer or any number of readers. "
                f"Close it there and try again. ({message(error)})"
            ) from error
        raise AtlasError(
            f"{path} cannot be opened as a DuckDB file: {message(error)}.{way_out(error, path)}"
        ) from error
    except duckdb.ConnectionException as error:
        raise AtlasError(
            f"{path} is open in this process with other options: locked, trusted, for writing, read-only, or by DuckDB "
            "itself. Close that connection first."
        ) from error
    except duckdb.Error as error:
        raise AtlasError(f"{path} cannot be opened: {message(error)}.{way_out(error, path)}") from error


def way_out(error: duckdb.Error, path: str | os.PathLike[str]) -> str:
    """What to do about a file that DuckDB cannot open or read."""
    if "replaying WAL" in str(error):
        return (
            f" Its log, {log_of(Path(path)).name}, is damaged or belongs to another file. Move the log elsewhere to "
            "open the atlas without the changes in it."
        )
    if any(word in str(error) for word in ("Corrupt", "checksum", "not enough bytes", "not a valid DuckDB")):
        return (
            " The file is damaged, or it is not an atlas. Put it back from a copy, make it again from its studies, or "
            "make it from its lake with `sigdb.import_lake(lake, path)`."
        )
    return ""


def check_name(path: Path) -> None:
    """Raise AtlasError for a file name that an atlas cannot have."""
    if (name := path.name.split(".")[0].lower()) in RESERVED:
        raise AtlasError(
            f"An atlas cannot be called {path.name}: {name} is the name of a schema in it, or of a file that sigdb "
            "attaches. Choose another name."
        )


def schema_version(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> int:
    """The schema version that an atlas records. Raises AtlasError if the file is not an atlas."""
    try:
        rows = statements.run_statement(con, "atlas/records.info", {"key": "schema_version"})
    except (duckdb.CatalogException, duckdb.PermissionException) as error:
        # DuckDB 1.4 looks for a file with the name of a schema that does not exist.
        raise AtlasError(
            f"{path} is a DuckDB file but not a sigdb atlas: it has no table sigdb_data.atlas_info."
        ) from error
    if not rows:
        raise AtlasError(f"{path} is not a complete atlas: it records no schema version.")
    try:
        return int(rows[0][0])
    except (TypeError, ValueError):
        raise AtlasError(f"{path} is not an atlas: its schema version is {rows[0][0]!r}, not a number.") from None


def check_version(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> None:
    """Raise AtlasVersionError unless the file has the schema of this sigdb."""
    check_schema(schema_version(con, path), path, f"Upgrade it: `sigdb.upgrade({str(path)!r})`")


def check_not_newer(found: int, path: str | os.PathLike[str]) -> None:
    """Raise AtlasVersionError if a schema is newer than this sigdb."""
    if found > SCHEMA_VERSION:
        raise AtlasVersionError(
            f"{path} has atlas schema {found}; this sigdb knows schemas up to {SCHEMA_VERSION}. "
            "Update the source of sigdb, and install it again."
        )


def check_schema(found: int, path: str | os.PathLike[str], way_out: str, *, oldest: int = SCHEMA_VERSION) -> None:
    """Raise AtlasVersionError for a schema that is newer than this sigdb, or older than `oldest`.

    way_out: what to do if it is older.
    """
    check_not_newer(found, path)
    if found < oldest:
        raise AtlasVersionError(f"{path} has atlas schema {found}; this sigdb reads schema {SCHEMA_VERSION}. {way_out}")
