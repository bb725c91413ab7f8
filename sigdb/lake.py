"""A lake: the tables of an atlas as Parquet, in a folder or an object store, for DuckDB and for other engines.

`export_lake` writes what has changed of an atlas, `attach_lake` makes a small DuckDB file whose tables are views over
the Parquet, with all views and macros, and `import_lake` an atlas. `sigdb.connect(folder)` opens a lake, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from sigdb import catalog, manifest, signature_views
from sigdb.atlas import Atlas, attach_new, little_memory, record_versions, remove
from sigdb.connection import SCHEMA_VERSION, check_name, check_schema, connect, open_file
from sigdb.errors import AtlasError, message
from sigdb.files import now, sync
from sigdb.manifest import MARK, File, Manifest, check_sizes, check_sums, checksum, publish

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

__all__ = ["Exported", "attach_lake", "export_lake", "import_lake", "open_lake"]

# About so many attributions are in a file, 4.3 bytes each.
FILE_ROWS = 1 << 26
# How many times larger files may become, as an atlas grows, before it is divided anew.
TOLERANCE = 4
# Rows that are read or skipped together: about two genes of a million cells.
ROW_GROUP = 1 << 18
ENCODINGS = {"cell_id": "DELTA_BINARY_PACKED"}
FLOAT_ENCODING = "BYTE_STREAM_SPLIT"
LEVEL = 3


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
    if Path(path).is_dir():
        raise AtlasError(f"{path} is a folder; only an atlas file can be exported. A lake can be copied as it is.")
    with connect(path) as con, little_memory(con), mine(root):
        before = manifest.read(str(root)) if (root / manifest.NAME).exists() else None
        ((created,),) = con.execute("SELECT value FROM sigdb_data.atlas_info WHERE key = 'created'").fetchall()
        if before and before.atlas_created != created:
            raise AtlasError(
                f"{root} is the lake of another atlas, made at {before.atlas_created} ({path}: {created}). "
                "Choose another folder, or remove that one."
            )
        columns, size = table_columns(con), genes_per_bucket or chosen_size(con, before)
        parts = [*table_parts(con, columns), *attribution_parts(con, size, columns["attributions"])]
        known = {file.path: file for file in before.files} if before else {}
        kept = {part.path: file for part in parts if (file := part.found(root, known.get(part.path), check=check))}
        files = []
        progress(0, len(parts))
        for part in parts:
            files.append(kept.get(part.path) or part.write(con, root))
            progress(len(files), len(parts))
        made = Manifest(
            root=str(root.absolute()),
            schema_version=SCHEMA_VERSION,
            sigdb_version=version("sigdb-atlas"),
            exported=now().isoformat(),
            atlas_created=created,
            genes_per_bucket=size,
            signature_views=signature_views.viewed(con),
            columns=columns,
            files=files,
        )
        publish(made)
    return Exported(len(files) - len(kept), len(kept), made)


@contextmanager
def mine(root: Path) -> Iterator[None]:
    """Hold a folder for an export, and make it if need be. Raises AtlasError if it has other contents, or is held."""
    mark = root / MARK
    if root.exists() and not mark.exists():
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
        yield


def chosen_size(con: duckdb.DuckDBPyConnection, before: Manifest | None) -> int:
    """How many gene ids shall share a file: a power of two; as before, while files have not grown far too large."""
    ((rows_of_gene,),) = con.execute(catalog.statement("lake/gene_rows")).fetchall()
    wanted = FILE_ROWS // max(rows_of_gene or 1, 1)
    size = 1 << max(0, min(wanted.bit_length() - 1, 16))
    return before.genes_per_bucket if before and before.genes_per_bucket <= TOLERANCE * size else size


def table_columns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """The columns of each table, with their types."""
    columns = {}
    for (table,) in con.execute(catalog.statement("queries/tables")).fetchall():
        described = con.execute(exp.Describe(this=exp.table_(table, db="sigdb_data")).sql("duckdb")).fetchall()
        columns[table] = {name: kind for name, kind, *_ in described}
    return columns


@dataclass(frozen=True)
class Part:
    """Rows that are to be a file: a table, or attributions of a run and range of genes. digest: that of the rows."""

    table: str
    folder: str
    digest: str
    query: str
    parameters: dict[str, int]
    run_id: int | None = None
    gene_bucket: int | None = None

    @property
    def path(self) -> str:
        """Where the file is, below the lake."""
        return f"{self.folder}/{self.digest}.parquet"

    def found(self, root: Path, known: File | None, *, check: bool) -> File | None:
        """The file, if it is there already: named by the manifest, or left by an export that was interrupted."""
        path = root / self.path
        if known and not check:
            return known if path.is_file() and path.stat().st_size == known.bytes else None
        try:
            file = self.described(path)
        except (OSError, pa.ArrowInvalid):
            return None
        return file if known in (file, None) else None

    def write(self, con: duckdb.DuckDBPyConnection, root: Path) -> File:
        """Write the file aside, and give it its name when it is on disk."""
        path = root / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        write_rows(pa.RecordBatchReader.from_stream(con.sql(self.query, params=self.parameters or None)), unfinished)
        sync(unfinished)
        unfinished.replace(path)
        for folder in (path.parent, *path.parent.parents):
            sync(folder)
            if folder == root:
                break
        return self.described(path)

    def described(self, path: Path) -> File:
        """What the manifest says of the file."""
        rows = pq.read_metadata(path).num_rows
        size, sha256 = path.stat().st_size, checksum(path)
        return File(self.table, self.path, self.digest, rows, size, sha256, self.run_id, self.gene_bucket)


def table_parts(con: duckdb.DuckDBPyConnection, columns: dict[str, dict[str, str]]) -> Iterator[Part]:
    """The tables, but for the attributions, each in the order in which its rows are stored."""
    for table, kinds in columns.items():
        if table == "attributions":
            continue
        place = exp.table_(table, db="sigdb_data")
        counted = sqlglot.parse_one(catalog.statement("lake/digest_table"), dialect="duckdb")
        for source in list(counted.find_all(exp.Table)):
            source.replace(exp.alias_(place.copy(), source.alias, table=True))
        (numbers,) = con.execute(counted.sql("duckdb")).fetchall()
        rows = exp.select(*(exp.column(name, quoted=True) for name in kinds)).from_(place)
        yield Part(table, table, digest(table, kinds, numbers), rows.sql("duckdb"), {})


def attribution_parts(con: duckdb.DuckDBPyConnection, size: int, kinds: dict[str, str]) -> Iterator[Part]:
    """The attributions, by run and bucket of genes; without any, an empty part, so that their columns are known."""
    found = con.execute(catalog.statement("lake/digest_attributions"), {"genes_per_bucket": size}).fetchall()
    for run_id, bucket, *numbers in found or [(0, 0, 0)]:
        genes = {"run_id": run_id, "first": bucket * size, "last": (bucket + 1) * size - 1}
        folder = f"attributions/run_id={run_id}/gene_bucket={bucket}"
        name = digest("attributions", kinds, (size, run_id, bucket, *numbers))
        yield Part("attributions", folder, name, catalog.statement("lake/attributions"), genes, run_id, bucket)


def digest(table: str, kinds: dict[str, str], numbers: tuple[object, ...]) -> str:
    """A name for rows: 32 hexadecimal digits, others if the rows or the columns are others, or how they are written."""
    text = json.dumps([manifest.FORMAT, table, kinds, [str(each) for each in numbers]])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_rows(rows: pa.RecordBatchReader, path: Path) -> None:
    """Write a Parquet file in row groups of ROW_GROUP rows, never holding many more."""
    floats = {each.name: FLOAT_ENCODING for each in rows.schema if pa.types.is_floating(each.type)}
    encodings = floats | {name: ENCODINGS[name] for name in rows.schema.names if name in ENCODINGS}
    order = [pq.SortingColumn(0), pq.SortingColumn(1)] if rows.schema.names == ["gene_id", "cell_id", "score"] else None
    with pq.ParquetWriter(
        path,
        rows.schema,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[name for name in rows.schema.names if name not in encodings],
        column_encoding=encodings or None,
        write_page_index=True,
        sorting_columns=order,
    ) as writer:
        held = rows.schema.empty_table()
        for batch in rows:
            held = pa.concat_tables([held, pa.Table.from_batches([batch])])
            # The last waits for the end: DuckDB learns nothing of the columns of a file with an empty row group.
            while len(held) > ROW_GROUP:
                writer.write_table(held.slice(0, ROW_GROUP))
                held = held.slice(ROW_GROUP)
        writer.write_table(held)


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
    with TemporaryDirectory() as folder:
        build(found, Path(folder) / "lake.duckdb")
        # It stays open when the folder goes.
        con = open_file(Path(folder) / "lake.duckdb", read_only=True)
    con.execute("SET parquet_metadata_cache = true")
    return con


def usable(lake: str | os.PathLike[str]) -> Manifest:
    """The manifest of a lake that is whole and has the schema of this sigdb."""
    found = manifest.read(str(lake))
    check_schema(found.schema_version, str(lake), manifest.UPGRADE)
    check_sizes(found)
    return found


def absent(path: str | os.PathLike[str]) -> Path:
    """A path for a new file; AtlasError if there is one, or if a database cannot be called so."""
    path = Path(path)
    check_name(path)
    if path.exists():
        raise AtlasError(f"{path} exists already. Remove it, or choose another name.")
    return path


def build(found: Manifest, path: Path) -> None:
    """Write a DuckDB file of views over a lake, with the views and macros of an atlas."""
    remove(path)
    try:
        with duckdb.connect() as con:
            attach_new(con, path)
            con.execute("USE sigdb_new")
            con.execute("BEGIN")
            con.execute("CREATE SCHEMA sigdb_data")
            for table in found.columns:
                view = exp.table_(table, db="sigdb_data")
                con.execute(exp.Create(this=view, kind="VIEW", expression=source(found, table)).sql("duckdb"))
            catalog.install(con, tables_are_views=True)
            signature_views.install(con, found.signature_views)
            con.execute("COMMIT")
    except duckdb.Error as error:
        raise AtlasError(f"The lake {found.root} cannot be read: {message(error)}") from error


def source(found: Manifest, table: str) -> exp.Expr:
    """The query of the rows of a table of a lake."""
    name = "show_attributions" if table == "attributions" else "show_table"
    query = sqlglot.parse_one(catalog.statement(f"lake/{name}"), dialect="duckdb")
    files = exp.array(*(exp.Literal.string(found.place(file)) for file in found.of(table)))
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
    if "://" in str(lake):
        raise AtlasError(f"{lake} is not a folder of this machine. Copy the lake into one, and import that.")
    found = usable(lake)
    check_sums(found)
    unfinished = path.with_name(f"{path.name}.importing")
    remove(unfinished)
    try:
        with Atlas.create(unfinished) as atlas, little_memory(atlas.con):
            fill(atlas, found, progress)
            atlas.con.execute("CHECKPOINT")
        sync(unfinished)
        unfinished.replace(path)
        sync(path.absolute().parent)
    except (duckdb.Error, OSError) as error:
        raise AtlasError(f"{path} cannot be made of the lake {lake}: {message(error)}") from error
    finally:
        remove(unfinished)


def fill(atlas: Atlas, found: Manifest, progress: Callable[[int, int], None]) -> None:
    """Insert the rows of a lake into an empty atlas, and make the views that it had."""
    con = atlas.con
    done, total = 0, sum(file.rows for file in found.files)
    have = {name for name, _ in catalog.run_statement(con, "write/cell_columns")}
    for name, kind in found.columns["cell_data"].items():
        if name not in have:
            column = exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=exp.DataType.build(kind, "duckdb"))
            cells = exp.table_("cell_data", db="sigdb_data")
            con.execute(exp.Alter(this=cells, kind="TABLE", actions=[column]).sql("duckdb"))
    con.execute("DELETE FROM sigdb_data.atlas_info")
    for table in found.columns:
        con.execute(exp.insert(source(found, table), exp.table_(table, db="sigdb_data")).sql("duckdb"))
        done += sum(file.rows for file in found.of(table))
        progress(done, total)
    with atlas.transaction():
        catalog.install(con)
        signature_views.install(con, found.signature_views)
        record_versions(con)
