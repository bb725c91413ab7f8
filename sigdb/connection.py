"""`connect()`: open an atlas file or a lake."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from sigdb.atlas.file import explain_read_errors, open_atlas
from sigdb.disk import is_lake
from sigdb.errors import AtlasError
from sigdb.lake.open import open_lake
from sigdb.scores.udf import register

if TYPE_CHECKING:
    import os

__all__ = ["connect"]


def connect(
    path: str | os.PathLike[str],
    *,
    read_only: bool = True,
    trusted: bool = False,
    locked: bool = False,
    threads: int | None = None,
    memory_limit: str | None = None,
    time_limit: float | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open an atlas file or a lake, and return a DuckDB connection.

    The views and macros are in the file, so the connection is a plain DuckDB connection. Its settings make scores of
    all cells fast, and a read-only connection also has the function `signature_score_py` (see `sigdb.register`).

    An atlas file is a program: its views and macros run when you query it. So a read-only connection to a file reaches
    no other file of the machine: DuckDB refuses `COPY ... TO`, `read_csv`, `ATTACH` and extensions. It also has no
    place on disk for what does not fit into memory. `trusted=True` lifts this for a file whose maker you trust. Use
    `locked=True` for queries of people that you do not trust. DuckDB does not open one file in two of these ways in one
    process, and it does not open a file for reading beside a connection of `duckdb.connect`.

    A name in a query is a table of the atlas, and never a variable of your program. To query a data frame, give it a
    name: `con.register("frame", frame)`.

    To open a lake faster the next time, sigdb keeps a small file of its views in the user's cache folder. The
    environment variable SIGDB_CACHE_DIR names another folder; if it is empty, nothing is kept.

    Parameters
    ----------
    path
        An atlas file, the folder of a lake, or the address of a lake (s3://..., http://...).
    read_only
        Whether to open the file for reading only. A lake can only be opened for reading.
    trusted
        Whether queries may use the files of the machine, and tables may be views, as in a file of `sigdb.attach_lake`.
        Lakes are always opened so.
    locked
        Whether to restrict queries to this file: they can read no other file, write nothing, reach no network, load no
        extensions and change no settings. This cannot be undone. A lake cannot be locked.
    threads, memory_limit
        How many threads, and how much memory (`"2GB"`), all queries of a locked connection may use together. By
        default, these are DuckDB's.
    time_limit
        The seconds after which a locked connection ends all its queries, from when it was opened. By default, there is
        no limit. A cursor of it (`con.cursor()`) has none either, so open a connection for each person.

    Returns
    -------
    A connection to the atlas. Close it, or use it in a `with` statement.

    Raises
    ------
    AtlasNotFoundError
        There is no file or lake at this path.
    AtlasError
        The file is not an atlas, the lake is incomplete, or the options do not fit together. Or the file holds macros
        that replace functions of DuckDB, or views in the place of tables.
    AtlasLockedError
        Another process has the file open for writing.
    AtlasVersionError
        A newer sigdb made the atlas, or an older one did and the atlas needs `sigdb.upgrade(path)`.

    Examples
    --------
    >>> with sigdb.connect("demo.duckdb") as con:
    ...     con.sql("SELECT count(*) FROM cells").fetchall()
    [(1757,)]
    """
    limits = {
        name: value for name, value in (("threads", threads), ("memory_limit", memory_limit)) if value is not None
    }
    check_modes(read_only=read_only, locked=locked, limited=bool(limits) or time_limit is not None)
    if read_only and is_lake(path):
        con = open_unlocked_lake(path, locked=locked)
    else:
        con = open_atlas(path, read_only=read_only, locked=locked, trusted=trusted, limits=limits)
    if read_only:
        with explain_read_errors(con, path):
            register(con)
    if time_limit is not None:
        end_after(con, time_limit)
    return con


def check_modes(*, read_only: bool, locked: bool, limited: bool) -> None:
    """Raise AtlasError for options that do not fit together."""
    if locked and not read_only:
        raise AtlasError("A locked connection is read-only. Leave out `read_only=False` or `locked=True`.")
    if limited and not locked:
        raise AtlasError(
            "`threads`, `memory_limit` and `time_limit` limit a locked connection. Add `locked=True`, or set threads "
            "and memory_limit with SET, as in any DuckDB connection."
        )


def end_after(con: duckdb.DuckDBPyConnection, seconds: float) -> None:
    """Interrupt every query of a connection from `seconds` on, until the connection is closed."""
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        con.close()
        raise AtlasError(f"A time limit is a number of seconds above 0, not `time_limit={seconds}`.")
    reference = weakref.ref(con)

    def interrupt() -> None:
        if (running := reference()) is not None:
            with suppress(duckdb.ConnectionException):  # it is closed
                running.interrupt()
                start(0.05)

    def start(delay: float) -> None:
        timer = threading.Timer(delay, interrupt)
        timer.daemon = True
        timer.start()

    start(seconds)


def open_unlocked_lake(path: str | os.PathLike[str], *, locked: bool) -> duckdb.DuckDBPyConnection:
    """Open a lake for reading. Raises AtlasError for `locked`."""
    if locked:
        raise AtlasError(
            f"{path} is a lake, and a lake cannot be locked: a DuckDB connection that may read its files may also "
            "overwrite them. `sigdb.import_lake(lake, path)` makes an atlas file of it, which can be locked."
        )
    return open_lake(path)
