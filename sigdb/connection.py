"""`connect()`: open an atlas file or a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.atlas.file import explain_read_errors, open_atlas
from sigdb.disk import is_lake
from sigdb.errors import AtlasError
from sigdb.lake.open import open_lake
from sigdb.scores.udf import register

if TYPE_CHECKING:
    import os

    import duckdb


__all__ = ["connect"]


def connect(path: str | os.PathLike[str], *, read_only: bool = True, locked: bool = False) -> duckdb.DuckDBPyConnection:
    """Open an atlas file or a lake, and return a DuckDB connection.

    The views and macros are in the file, so the connection is a plain DuckDB connection: everything that DuckDB can do
    works on it. Its settings make scores of all cells fast, and a read-only connection also has the function
    `signature_score_py` (see `sigdb.register`).

    A read-only connection can still read and write other files of the machine. Use `locked=True` for queries of people
    that you do not trust. DuckDB does not open one file both locked and unlocked in one process.

    To open a lake faster the next time, sigdb keeps a small file of its views in the user's cache folder. The
    environment variable SIGDB_CACHE_DIR names another folder; if it is empty, nothing is kept.

    Parameters
    ----------
    path
        An atlas file, the folder of a lake, or the address of a lake (s3://..., http://...).
    read_only
        Whether to open the file for reading only. A lake can only be opened for reading.
    locked
        Whether to restrict queries to this file: they can read no other file, write nothing, load no extensions and
        change no settings. This cannot be undone. A lake cannot be locked.

    Returns
    -------
    A connection to the atlas. Close it, or use it in a `with` statement.

    Raises
    ------
    AtlasNotFoundError
        There is no file or lake at this path.
    AtlasError
        The file is not an atlas, the lake is incomplete, or the options do not fit together.
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
    if locked and not read_only:
        raise AtlasError("A locked connection is read-only. Leave out `read_only=False` or `locked=True`.")
    if read_only and is_lake(path):
        con = open_unlocked_lake(path, locked=locked)
    else:
        con = open_atlas(path, read_only=read_only, locked=locked)
    with explain_read_errors(con, path):
        if read_only:
            register(con)
        if locked:
            con.execute("SET lock_configuration = true")
    return con


def open_unlocked_lake(path: str | os.PathLike[str], *, locked: bool) -> duckdb.DuckDBPyConnection:
    """Open a lake for reading. Raises AtlasError for `locked`."""
    if locked:
        raise AtlasError(
            f"{path} is a lake, and a lake cannot be locked: a DuckDB connection that may read its files may also "
            "overwrite them. `sigdb.import_lake(lake, path)` makes an atlas file of it, which can be locked."
        )
    return open_lake(path)
