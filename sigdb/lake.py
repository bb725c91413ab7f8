"""A lake: the tables of an atlas as Parquet, in a folder or an object store, for DuckDB and for other engines.

`export_lake` writes what has changed of an atlas, `attach_lake` makes a small DuckDB file whose tables are views over
the Parquet, with all views and macros, and `import_lake` an atlas. `sigdb.connect(folder)` opens a lake, too.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb
import sqlglot
from sqlglot import exp

from sigdb import catalog, manifest, signature_views
from sigdb.atlas import Atlas, attach_new, little_memory, record_versions, remove
from sigdb.connection import SCHEMA_VERSION, check_name, check_schema, connect, open_file
from sigdb.errors import AtlasError, listed, message
from sigdb.files import now, sync
from sigdb.lake_files import FILE_ROWS, Part, attribution_parts, table_columns, table_parts
from sigdb.manifest import MARK, File, Manifest, check_sizes, check_sums, publish

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator, Sequence

__all__ = ["Exported", "attach_lake", "export_lake", "import_lake", "open_lake"]

# How many times larger files may become, as an atlas grows, before it is divided anew.
TOLERANCE = 4


@dataclass(frozen=True)
class Exported:
    """What an export did: files written, files that were there already, and the manifest."""

    written: int
    kept: int
    manifest: Manifest


def export_lake(
    path: str | os.PathLike[str],
    lake: str | os.PathLike[str],
    *,
    genes_per_bucket: int | None = None,
    check: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write the tables of an atlas into a folder as Parquet; only what has changed, if it is its lake already.

    Files are written aside, and become the lake all together when the manifest is replaced, in the end; an export that
    is interrupted goes on where it was. genes_per_bucket: how many gene ids share a file of attributions of a run; if
    None, as before, or chosen for files of some 64 million rows, where they would be far larger. check: also compare
    the checksums of the files that are there, and write those anew that differ. progress: told (files done, files in
    all).

    Raises AtlasError if the folder holds something else, or the lake of another atlas, or if another export is at work.
    """
    root = Path(lake)
    if genes_per_bucket is not None and genes_per_bucket < 1:
        raise AtlasError(f"A file holds the attributions of at least one gene, not of {genes_per_bucket}.")
    if manifest.is_lake(path):
        raise AtlasError(f"{path} is no file; only an atlas file can be exported. A lake can be copied as it is.")
    with connect(path) as con, little_memory(con), mine(root):
        before = manifest.read(str(root)) if (root / manifest.NAME).exists() else None
        ((created,),) = con.execute("SELECT value FROM sigdb_data.atlas_info WHERE key = 'created'").fetchall()
        check_origin(before, created, path)
        columns, size = table_columns(con), genes_per_bucket or chosen_size(con, before)
        parts = [*table_parts(con, columns), *attribution_parts(con, size, columns["attributions"])]
        files, n_kept = write_parts(con, root, parts, before, check=check, progress=progress)
        made = describe(con, root, columns, files, genes_per_bucket=size, atlas_created=created)
        publish(made)
    return Exported(len(files) - n_kept, n_kept, made)


def check_origin(before: Manifest | None, created: str, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError unless a lake is that of an atlas, which was made at a time."""
    if before and before.atlas_created is None:
        raise AtlasError(
            f"{before.root} is a lake that `sigdb ingest-spark` has added studies to, which {path} may not have. "
            "Choose another folder; `sigdb import-lake` makes an atlas of that one."
        )
    if before and before.atlas_created != created:
        raise AtlasError(
            f"{before.root} is the lake of another atlas, made at {before.atlas_created} ({path}: {created}). "
            "Choose another folder, or remove that one."
        )


def write_parts(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    parts: Sequence[Part],
    before: Manifest | None,
    *,
    check: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[File], int]:
    """Write those parts that are not there; return the files of all, and how many were there."""
    known = {file.path: file for file in before.files} if before else {}
    kept = {part.path: file for part in parts if (file := part.found(root, known.get(part.path), check=check))}
    files: list[File] = []
    progress(0, len(parts))
    for part in parts:
        files.append(kept.get(part.path) or part.write(con, root))
        progress(len(files), len(parts))
    return files, len(kept)


def describe(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    columns: dict[str, dict[str, str]],
    files: list[File],
    *,
    genes_per_bucket: int,
    atlas_created: str | None,
) -> Manifest:
    """The manifest of a lake of these files, as sigdb writes it now."""
    return Manifest(
        root=str(root.absolute()),
        schema_version=SCHEMA_VERSION,
        sigdb_version=version("sigdb-atlas"),
        exported=now().isoformat(),
        atlas_created=atlas_created,
        genes_per_bucket=genes_per_bucket,
        signature_views=signature_views.viewed(con),
        columns=columns,
        files=files,
    )


@contextmanager
def mine(root: Path, *, keep: bool = True) -> Iterator[None]:
    """Hold a folder for an export, and make it if need be.

    keep: what a block has written that failed, to go on from there; otherwise a folder that was new or empty is so
    again, unless a lake was published in it. Raises AtlasError if the folder has other contents, is held, or has lost
    its manifest.
    """
    manifest.check_place(str(root.absolute()))
    mark = root / MARK
    was_there, was_empty = root.exists(), not mark.exists()
    if was_there and was_empty:
        if not root.is_dir():
            raise AtlasError(f"{root} is a file. A lake is a folder: choose another name.")
        if any(root.iterdir()):
            raise AtlasError(f"{root} is not empty, and not a lake. Choose an empty folder, or a new one.")
    root.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AtlasError(f"Another export to {root} is at work. Wait for it, or end it.") from error
        manifest.check_not_lost(root)
        if (root / manifest.NAME).exists():
            manifest.note_published(root)
        try:
            yield
        finally:
            if was_empty and not keep and not (root / manifest.NAME).exists():
                discard(list(root.iterdir()) if was_there else [root])


def discard(paths: Sequence[Path]) -> None:
    """Remove files, and folders with all that is in them."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def chosen_size(con: duckdb.DuckDBPyConnection, before: Manifest | None) -> int:
    """How many gene ids shall share a file: a power of two; as before, while files have not grown far too large."""
    ((rows_of_gene,),) = con.execute(catalog.statement("lake/gene_rows")).fetchall()
    wanted = FILE_ROWS // max(rows_of_gene or 1, 1)
    size = 1 << max(0, min(wanted.bit_length() - 1, 16))
    return before.genes_per_bucket if before and before.genes_per_bucket <= TOLERANCE * size else size


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
    if manifest.is_address(found.root):
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
            catalog.install(con)
            signature_views.install(con, found.signature_views)
            con.execute("COMMIT")
    except duckdb.Error as error:
        raise AtlasError(f"The lake {found.root} cannot be read: {message(error)}") from error


def source(found: Manifest, table: str) -> exp.Expr:
    """The query of the rows of a table of a lake."""
    name = "show_attributions" if table == "attributions" else "show_table"
    query = sqlglot.parse_one(catalog.statement(f"lake/{name}"), dialect="duckdb")
    files = exp.array(*(exp.Literal.string(found.pattern(file)) for file in found.of(table)))
    for parameter in list(query.find_all(exp.Placeholder)):
        parameter.replace(files.copy())  # a view can have none
    return query


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
    if manifest.is_address(str(lake)):
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
    have = {name for name, _ in catalog.run_statement(con, "write/cell_columns")}
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
        catalog.install(con)
        signature_views.install(con, found.signature_views)
        record_versions(con)
