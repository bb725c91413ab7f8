"""Open a lake, or make a file that shows it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb
import sqlglot
from sqlglot import exp

from sigdb import disk, statements
from sigdb.atlas import schema, views
from sigdb.atlas.file import attach_new, check_name, check_schema, open_file, remove
from sigdb.errors import AtlasError, message
from sigdb.lake import manifest
from sigdb.lake.manifest import Manifest, check_sizes

if TYPE_CHECKING:
    import os


__all__ = ["attach_lake", "open_lake"]


def attach_lake(lake: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Make a DuckDB file whose tables are views over the files of a lake, by their absolute paths; it holds no rows.

    All views and macros are in it, so any DuckDB client can ask it as an atlas, where the files are in reach. It shows
    the lake as it is now: after another export it has to be made anew, and says so by files that are missing.
    lake: a folder, or an address that DuckDB can read. Raises AtlasError if the lake is not whole, or if `path` exists.
    """
    path = absent(path)
    unfinished = path.with_name(f"{path.name}.new")
    found = usable(lake)
    try:
        build(found, unfinished)
        unfinished.replace(path)
    finally:
        remove(unfinished)


def open_lake(lake: str | os.PathLike[str]) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a lake. Errors as for `attach_lake`."""
    found = usable(lake)
    # What does not fit into memory waits there; DuckDB makes the folder, and removes it with the connection.
    spill = Path(tempfile.gettempdir(), f"sigdb-{uuid4().hex}")
    with tempfile.TemporaryDirectory() as folder:
        build(found, Path(folder) / "lake.duckdb")
        # It stays open when the folder goes.
        con = open_file(Path(folder) / "lake.duckdb", read_only=True, config={"temp_directory": str(spill)})
    keep_metadata(con, found)
    return con


def keep_metadata(con: duckdb.DuckDBPyConnection, found: Manifest) -> None:
    """Have DuckDB look once at what the files of a lake say of themselves: other contents have other names."""
    con.execute("SET parquet_metadata_cache = true")
    if disk.is_address(found.root):
        con.execute("SET enable_http_metadata_cache = true")


def usable(lake: str | os.PathLike[str]) -> Manifest:
    """The manifest of a lake that is whole and has the schema of this sigdb."""
    found = manifest.read(str(lake))
    check_schema(found.schema_version, str(lake), found.way_to_upgrade)
    check_sizes(found)
    return found


def absent(path: str | os.PathLike[str]) -> Path:
    """A path for a new file; AtlasError if there is one, or if a database cannot be called so."""
    path = Path(path)
    check_name(path)
    if path.exists():
        raise AtlasError(f"{path} exists already. Remove it, or choose another name.")
    if not path.absolute().parent.is_dir():
        raise AtlasError(f"{path} cannot be made: there is no folder {path.parent}.")
    return path


def build(found: Manifest, path: Path) -> None:
    """Write a DuckDB file of views over a lake, with the views and macros of an atlas."""
    remove(path)
    try:
        with duckdb.connect() as con:
            keep_metadata(con, found)
            attach_new(con, path)
            con.execute("USE sigdb_new")
            con.execute("BEGIN")
            con.execute("CREATE SCHEMA sigdb_data")
            for table in found.columns:
                view = exp.table_(table, db="sigdb_data")
                con.execute(exp.Create(this=view, kind="VIEW", expression=source(found, table)).sql("duckdb"))
            schema.install(con)
            views.install(con, found.signature_views)
            con.execute("COMMIT")
    except duckdb.Error as error:
        raise AtlasError(f"The lake {found.root} cannot be read: {message(error)}") from error


def source(found: Manifest, table: str) -> exp.Expr:
    """The query of the rows of a table of a lake."""
    name = "show_attributions" if table == "attributions" else "show_table"
    query = sqlglot.parse_one(statements.statement(f"lake/{name}"), dialect="duckdb")
    files = exp.array(*(exp.Literal.string(found.pattern(file)) for file in found.of(table)))
    for parameter in list(query.find_all(exp.Placeholder)):
        parameter.replace(files.copy())  # a view can have none
    return query
