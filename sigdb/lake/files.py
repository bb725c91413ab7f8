"""The files of a lake: which rows each holds, what it is called, and how it is written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from sigdb import statements
from sigdb.disk import sync
from sigdb.lake import manifest
from sigdb.lake.manifest import File, checksum

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

__all__ = ["FILE_ROWS", "Part", "attribution_parts", "finish", "table_columns", "table_parts", "write_rows"]

# About so many attributions are in a file, 4.3 bytes each.
FILE_ROWS = 1 << 26
# Rows that are read or skipped together: about two genes of a million cells.
ROW_GROUP = 1 << 18
ENCODINGS = {"cell_id": "DELTA_BINARY_PACKED"}
FLOAT_ENCODING = "BYTE_STREAM_SPLIT"
LEVEL = 3


def table_columns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """The columns of each table, with their types."""
    columns = {}
    for (table,) in con.execute(statements.statement("atlas/inspect.tables")).fetchall():
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
        finish(unfinished, path, root)
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
        counted = sqlglot.parse_one(statements.statement("lake/digest_table"), dialect="duckdb")
        for source in list(counted.find_all(exp.Table)):
            source.replace(exp.alias_(place.copy(), source.alias, table=True))
        (numbers,) = con.execute(counted.sql("duckdb")).fetchall()
        rows = exp.select(*(exp.column(name, quoted=True) for name in kinds)).from_(place)
        yield Part(table, table, digest(table, kinds, numbers), rows.sql("duckdb"), {})


def attribution_parts(con: duckdb.DuckDBPyConnection, size: int, kinds: dict[str, str]) -> Iterator[Part]:
    """The attributions, by run and bucket of genes; without any, an empty part, so that their columns are known."""
    found = con.execute(statements.statement("lake/digest_attributions"), {"genes_per_bucket": size}).fetchall()
    for run_id, bucket, *numbers in found or [(0, 0, 0)]:
        genes = {"run_id": run_id, "first": bucket * size, "last": (bucket + 1) * size - 1}
        folder = f"attributions/run_id={run_id}/gene_bucket={bucket}"
        name = digest("attributions", kinds, (size, run_id, bucket, *numbers))
        yield Part("attributions", folder, name, statements.statement("lake/attributions"), genes, run_id, bucket)


def digest(table: str, kinds: dict[str, str], numbers: tuple[object, ...]) -> str:
    """A name for rows: 32 hexadecimal digits, others if the rows or the columns are others, or how they are written."""
    text = json.dumps([manifest.FORMAT, table, kinds, [str(each) for each in numbers]])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def finish(unfinished: Path, path: Path, root: Path) -> None:
    """Give a file that is written its name, for good, below a lake."""
    sync(unfinished)
    unfinished.replace(path)
    for folder in (path.parent, *path.parent.parents):
        sync(folder)
        if folder == root:
            break


def write_rows(rows: pa.RecordBatchReader, path: Path) -> int:
    """Write a Parquet file in row groups of ROW_GROUP rows, never holding many more; return how many rows it has."""
    n_rows = 0
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
            n_rows += len(batch)
            held = pa.concat_tables([held, pa.Table.from_batches([batch])])
            # The last waits for the end: DuckDB learns nothing of the columns of a file with an empty row group.
            while len(held) > ROW_GROUP:
                writer.write_table(held.slice(0, ROW_GROUP))
                held = held.slice(ROW_GROUP)
        writer.write_table(held)
    return n_rows
