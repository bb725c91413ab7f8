"""`connect()`: the one door to an atlas file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.atlas.file import LOCKED, check_tables, open_atlas, readable
from sigdb.disk import is_lake
from sigdb.errors import AtlasError
from sigdb.lake.open import open_lake
from sigdb.scores.udf import register

if TYPE_CHECKING:
    import os

    import duckdb


__all__ = ["connect"]


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
        con = open_atlas(path, read_only=read_only, config=LOCKED if locked else {})
    with readable(con, path):
        if locked:
            check_tables(con, path)
        if read_only:
            register(con)
        if locked:
            con.execute("SET lock_configuration = true")
    return con


def open_folder(path: str | os.PathLike[str], *, locked: bool) -> duckdb.DuckDBPyConnection:
    """Open a lake (see `sigdb.lake`) for reading; AtlasError if it is to be locked, which it cannot be."""
    if locked:
        raise AtlasError(
            f"{path} is a lake, which cannot be locked: DuckDB lets whoever may read its files also overwrite them. "
            " `sigdb import-lake` makes an atlas file of it, which can be."
        )
    return open_lake(path)
