"""Make an atlas file of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from sigdb import disk, statements
from sigdb.atlas import schema, views
from sigdb.atlas.file import little_memory, remove
from sigdb.atlas.writer import Atlas, record_versions
from sigdb.disk import sync
from sigdb.errors import AtlasError, listed, message
from sigdb.lake.files import table_columns
from sigdb.lake.manifest import Manifest, check_sums
from sigdb.lake.open import absent, source, usable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection


__all__ = ["import_lake"]


def import_lake(
    lake: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Make an atlas of a lake in a folder, after comparing the checksums of all files.

    progress: told (rows done, rows in all). Raises AtlasError if a file is not what was written, or if `path` exists.
    """
    path = absent(path)
    if disk.is_address(str(lake)):
        raise AtlasError(f"{lake} is not a folder of this machine. Copy the lake into one, and import that.")
    found = usable(lake)
    check_sums(found)
    unfinished = path.with_name(f"{path.name}.importing")
    remove(unfinished)
    try:
        with Atlas.create(unfinished) as atlas, little_memory(atlas.con):
            fill(atlas, found, found.columns, progress)
            atlas.con.execute("CHECKPOINT")
        sync(unfinished)
        unfinished.replace(path)
        sync(path.absolute().parent)
    except (duckdb.Error, OSError) as error:
        raise AtlasError(f"{path} cannot be made of the lake {lake}: {message(error)}") from error
    finally:
        remove(unfinished)


def fill(
    atlas: Atlas,
    found: Manifest,
    tables: Collection[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Insert the rows of tables of a lake into an empty atlas, and make the views of signatures that it had."""
    con = atlas.con
    if lacking := table_columns(con).keys() - found.columns.keys():
        raise AtlasError(f"The lake {found.root} lacks tables of an atlas: {listed(sorted(lacking))}.")
    done, total = 0, sum(file.rows for table in tables for file in found.of(table))
    have = {name for name, _ in statements.run_statement(con, "ingest/study.cell_columns")}
    for name, kind in found.columns["cell_data"].items():
        if name not in have:
            column = exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=exp.DataType.build(kind, "duckdb"))
            cells = exp.table_("cell_data", db="sigdb_data")
            con.execute(exp.Alter(this=cells, kind="TABLE", actions=[column]).sql("duckdb"))
    con.execute("DELETE FROM sigdb_data.atlas_info")
    for table in tables:
        # Of columns it counts what they are called: other writers, and upgrades, have them in another order.
        rows = exp.insert(source(found, table), exp.table_(table, db="sigdb_data"))
        rows.set("by_name", True)
        con.execute(rows.sql("duckdb"))
        done += sum(file.rows for file in found.of(table))
        progress(done, total)
    with atlas.transaction():
        schema.install(con)
        views.install(con, found.signature_views)
        record_versions(con)
