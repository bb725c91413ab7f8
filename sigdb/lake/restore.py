"""Make an atlas file from a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from sigdb import disk
from sigdb.atlas import schema, views
from sigdb.atlas.derived import rebuild_importance
from sigdb.atlas.empty import record_versions
from sigdb.atlas.file import little_memory, remove
from sigdb.atlas.writer import Atlas
from sigdb.disk import sync
from sigdb.errors import AtlasError, listed, message
from sigdb.lake.files import table_columns
from sigdb.lake.manifest import Manifest, check_sums
from sigdb.lake.older import lacks_importance, missing_tables
from sigdb.lake.open import check_new_file, read_complete, select_rows
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection


__all__ = ["import_lake", "load_tables"]


def import_lake(
    lake: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Make an atlas file from a lake, after comparing the checksums of all files.

    Parameters
    ----------
    lake
        The folder of a lake. Copy a lake at an address into a folder first.
    path
        The atlas file to make. It must not exist yet.
    progress
        A function that is called with (rows loaded, rows in total).

    Raises
    ------
    AtlasError
        The lake is incomplete or damaged, or the file exists or cannot be written.

    Examples
    --------
    >>> _ = sigdb.export_lake("demo.duckdb", "demo.lake")
    >>> sigdb.import_lake("demo.lake", "imported.duckdb")
    >>> with sigdb.connect("imported.duckdb") as con:
    ...     con.sql("SELECT count(*) FROM cells").fetchall()
    [(1757,)]
    """
    path = check_new_file(path)
    if disk.is_address(str(lake)):
        raise AtlasError(f"{lake} is not a folder of this machine. Copy the lake into a folder, and import that.")
    found = read_complete(lake)
    check_sums(found)
    unfinished = path.with_name(f"{path.name}.importing")
    remove(unfinished)
    try:
        with Atlas.create(unfinished) as atlas, little_memory(atlas.con):
            load_tables(atlas, found, found.columns, progress)
            atlas.con.execute("CHECKPOINT")
        sync(unfinished)
        unfinished.replace(path)
        sync(path.absolute().parent)
    except (duckdb.Error, OSError) as error:
        raise AtlasError(f"{path} cannot be made from the lake {lake}: {message(error)}") from error
    finally:
        remove(unfinished)


def load_tables(
    atlas: Atlas,
    found: Manifest,
    tables: Collection[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Insert the rows of tables of a lake into an empty atlas, and make the views of signatures that the lake has."""
    con = atlas.con
    needed = table_columns(con).keys() - missing_tables(found)
    if lacking := needed - found.columns.keys():
        raise AtlasError(
            f"The lake {found.root} lacks {len(lacking)} of {len(needed)} tables of an atlas: "
            f"{listed(sorted(lacking))}. If it is an export, export the atlas again to another folder."
        )
    add_cell_columns(con, found.columns["cell_data"])
    run_statement(con, "lake/views.clear_atlas_info")
    done, total = 0, sum(file.rows for table in tables for file in found.files_of(table))
    for table in tables:
        rows = exp.insert(select_rows(found, table), exp.table_(table, db="sigdb_data"))
        # Columns match by name: other writers may have them in another order.
        rows.set("by_name", True)
        con.execute(rows.sql("duckdb"))
        done += sum(file.rows for file in found.files_of(table))
        progress(done, total)
    with atlas.transaction():
        schema.install(con)
        views.install(con, found.signature_views)
        if lacks_importance(found) and "attribution_summary" in tables:
            rebuild_importance(con)
        record_versions(con)


def add_cell_columns(con: duckdb.DuckDBPyConnection, columns: dict[str, str]) -> None:
    """Add the columns of the studies' obs to the table of cells. columns: all of its columns, with their types."""
    existing = {name for name, _ in run_statement(con, "ingest/study.cell_columns")}
    for name, kind in columns.items():
        if name not in existing:
            try:
                column_type = parse_one(kind, into=exp.DataType, dialect="duckdb")
            except SqlglotError as error:
                raise AtlasError(
                    f"The column {name!r} of cell_data has an unknown type in the lake: {kind!r}."
                ) from error
            column = exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=column_type)
            cells = exp.table_("cell_data", db="sigdb_data")
            con.execute(exp.Alter(this=cells, kind="TABLE", actions=[column]).sql("duckdb"))
