"""Open a lake, or make a DuckDB file that shows it."""

from __future__ import annotations

import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb
from sqlglot import exp

from sigdb import disk
from sigdb.atlas import schema, views
from sigdb.atlas.file import (
    SCHEMA_VERSION,
    attach_new,
    check_name,
    check_schema,
    explain_read_errors,
    open_file,
    remove,
    speed_up,
)
from sigdb.errors import AtlasError, message
from sigdb.lake import manifest
from sigdb.lake.cache import code_digest, get_or_make
from sigdb.lake.older import FIRST_WITH_UNREAD, OLDEST_SCHEMA, show_missing_tables
from sigdb.statements import parse_statement, run_statement

if TYPE_CHECKING:
    import os

    from sigdb.lake.manifest import Manifest


__all__ = ["attach_lake", "check_new_file", "open_lake", "read_complete", "select_rows"]

# The queries for the rows of a table, from `sql/lake/views.sql`. All others are read with show_table.
QUERIES = {"attributions": "show_attributions", "atlas_info": "show_atlas_info"}


def attach_lake(lake: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Make a small DuckDB file whose tables are views over the files of a lake.

    The file has all views and macros of an atlas, so any DuckDB client can query it, as long as the client can read the
    files of the lake by their absolute paths. sigdb opens it with `trusted=True` only, because views that read files
    could be anybody's. It shows the lake as it is now. After the next export, queries fail
    because files are missing. Remove the file then, and make it again.

    Parameters
    ----------
    lake
        The folder of a lake, or an address that DuckDB can read (s3://..., http://...).
    path
        The file to make. It must not exist yet.

    Raises
    ------
    AtlasError
        The lake is incomplete, or the file exists or cannot be written.

    Examples
    --------
    >>> _ = sigdb.export_lake("demo.duckdb", "demo.lake")
    >>> sigdb.attach_lake("demo.lake", "shown.duckdb")
    >>> with sigdb.connect("shown.duckdb", trusted=True) as con:
    ...     con.sql("SELECT count(*) FROM cells").fetchall()
    [(1757,)]
    """
    path = check_new_file(path)
    unfinished = path.with_name(f"{path.name}.new")
    found = read_complete(lake)
    try:
        unfinished.write_bytes(view_file(found))
        unfinished.replace(path)
    except OSError as error:
        raise AtlasError(f"{path} cannot be created: {message(error)}") from error
    finally:
        remove(unfinished)


def open_lake(lake: str | os.PathLike[str]) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a lake, with settings for fast scores. Errors as for `attach_lake`."""
    found = read_complete(lake)
    # DuckDB makes this folder for what does not fit into memory, and removes it when the connection is closed.
    spill = Path(tempfile.gettempdir(), f"sigdb-{uuid4().hex}")
    # The file stays open when its folder is removed. Windows cannot remove it then, and leaves that to the user.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "lake.duckdb")
        path.write_bytes(view_file(found))
        con = open_file(path, read_only=True, config={"temp_directory": str(spill)})
    with explain_read_errors(con, lake):
        keep_metadata(con, found)
        speed_up(con)
    return con


def keep_metadata(con: duckdb.DuckDBPyConnection, found: Manifest) -> None:
    """Have DuckDB read the metadata of each file only once. Files of a lake never change: new rows get new names."""
    con.execute("SET parquet_metadata_cache = true")
    if disk.is_address(found.root):
        con.execute("SET enable_http_metadata_cache = true")


def read_complete(lake: str | os.PathLike[str]) -> Manifest:
    """The manifest of a lake, after checking that its files are complete and that its schema can be read."""
    found = manifest.read(str(lake))
    check_schema(found.schema_version, str(lake), found.way_to_upgrade, oldest=OLDEST_SCHEMA)
    manifest.check_sizes(found)
    return found


def check_new_file(path: str | os.PathLike[str]) -> Path:
    """Check that a file can be created at a path. Raises AtlasError if it exists, or for a name that it cannot have."""
    path = Path(path)
    check_name(path)
    if path.exists():
        raise AtlasError(f"{path} exists already. Remove it, or choose another name.")
    if not path.absolute().parent.is_dir():
        raise AtlasError(f"{path} cannot be created: there is no folder {path.parent}.")
    return path


def view_file(found: Manifest) -> bytes:
    """The contents of a DuckDB file of views over a lake, from the cache if possible."""
    return get_or_make(cache_key(found), lambda: make_view_file(found))


def cache_key(found: Manifest) -> str:
    """A digest of everything that `make_view_file` depends on: the lake, sigdb and DuckDB."""
    written = (
        () if disk.is_address(found.root) else [Path(found.location(file)).stat().st_mtime_ns for file in found.files]
    )
    parts = [found.root, found.to_json(), str(written), version("sigdb-atlas"), duckdb.__version__, code_digest()]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def make_view_file(found: Manifest) -> bytes:
    """The contents of a new DuckDB file of views over a lake, with the views and macros of an atlas."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lake.duckdb")
        try:
            with duckdb.connect() as con:
                keep_metadata(con, found)
                attach_new(con, path)
                con.execute("USE sigdb_new")
                con.execute("BEGIN")
                run_statement(con, "lake/views.create_schema")
                for table in found.columns:
                    view = exp.table_(table, db="sigdb_data")
                    query = select_rows(found, table)
                    con.execute(exp.Create(this=view, kind="VIEW", expression=query).sql("duckdb"))
                show_missing_tables(con, found)
                schema.install(con)
                views.install(con, found.signature_views)
                con.execute("COMMIT")
        except duckdb.Error as error:
            raise AtlasError(f"The lake {found.root} cannot be read: {message(error)}") from error
        return path.read_bytes()


def query_name(found: Manifest, table: str) -> str:
    """The statement in `sql/lake/views.sql` for the rows of a table of a lake."""
    if table == "attributed_cells" and found.schema_version < FIRST_WITH_UNREAD:
        return "show_older_attributed_cells"
    return QUERIES.get(table, "show_table")


def select_rows(found: Manifest, table: str) -> exp.Select:
    """A query for the rows of a table of a lake."""
    query = parse_statement(f"lake/views.{query_name(found, table)}")
    files = exp.array(*(exp.Literal.string(found.pattern(file)) for file in found.files_of(table)))
    values = {"files": files, "schema_version": exp.Literal.string(str(SCHEMA_VERSION))}
    for parameter in list(query.find_all(exp.Placeholder)):
        parameter.replace(values[parameter.name].copy())  # a view cannot have parameters
    return query
