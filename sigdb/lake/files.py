"""The files of a lake: the rows and the name of each, and how it is written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from sigdb.disk import sync
from sigdb.lake import manifest
from sigdb.lake.manifest import File, checksum
from sigdb.statements import parse_statement, run_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

__all__ = [
    "FILE_ROWS",
    "Part",
    "attribution_parts",
    "move_into_lake",
    "table_columns",
    "table_parts",
    "write_rows",
]

# The approximate number of attributions per file, at 4.3 bytes each.
FILE_ROWS = 1 << 26
# Rows per row group, the unit that readers read or skip: about two genes of a million cells.
ROW_GROUP = 1 << 18
ENCODINGS = {"cell_id": "DELTA_BINARY_PACKED"}
FLOAT_ENCODING = "BYTE_STREAM_SPLIT"
LEVEL = 3


def table_columns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """The columns of each table, with their types."""
    columns = {}
    for (table,) in run_statement(con, "atlas/inspect.tables"):
        described = con.execute(exp.Describe(this=exp.table_(table, db="sigdb_data")).sql("duckdb")).fetchall()
        columns[table] = {name: kind for name, kind, *_ in described}
    return columns


@dataclass(frozen=True)
class Part:
    """The rows of one file: a table, or the attributions of a run and a range of genes.

    digest: changes with the rows. query, parameters: return the rows.
    """

    table: str
    folder: str
    digest: str
    query: str
    parameters: dict[str, int]
    run_id: int | None = None
    gene_bucket: int | None = None

    @property
    def path(self) -> str:
        """The path of the file, relative to the lake."""
        return f"{self.folder}/{self.digest}.parquet"

    @property
    def unfinished(self) -> str:
        """The path of the file while it is written."""
        return f"{self.folder}/{self.digest}.part"

    def find(self, root: Path, known: File | None, *, check: bool) -> File | None:
        """The file, if it exists already. known: its entry in the manifest, or None. check: compare the checksum."""
        path = root / self.path
        if known and not check:
            return known if path.is_file() and path.stat().st_size == known.bytes else None
        try:
            file = self.entry(path)
        except (OSError, pa.ArrowInvalid):
            return None
        return file if known in (file, None) else None

    def write(self, con: duckdb.DuckDBPyConnection, root: Path) -> File:
        """Write the file under another name, and rename it when it is on disk."""
        path = root / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = root / self.unfinished
        write_rows(pa.RecordBatchReader.from_stream(con.sql(self.query, params=self.parameters or None)), unfinished)
        move_into_lake(unfinished, path, root)
        return self.entry(path)

    def entry(self, path: Path) -> File:
        """The entry of the manifest for the file at a path."""
        rows = pq.read_metadata(path).num_rows
        size, sha256 = path.stat().st_size, checksum(path)
        return File(self.table, self.path, self.digest, rows, size, sha256, self.run_id, self.gene_bucket)


def table_parts(con: duckdb.DuckDBPyConnection, columns: dict[str, dict[str, str]]) -> Iterator[Part]:
    """One part per table except the attributions. Its rows keep their order."""
    for table, kinds in columns.items():
        if table == "attributions":
            continue
        source = exp.table_(table, db="sigdb_data")
        digests = parse_statement("lake/files.digest_table")
        for node in list(digests.find_all(exp.Table)):
            node.replace(exp.alias_(source.copy(), node.alias, table=True))
        (numbers,) = con.execute(digests.sql("duckdb")).fetchall()
        rows = exp.select(*(exp.column(name, quoted=True) for name in kinds)).from_(source)
        yield Part(table, table, digest(table, kinds, numbers), rows.sql("duckdb"), {})


def attribution_parts(con: duckdb.DuckDBPyConnection, size: int, kinds: dict[str, str]) -> Iterator[Part]:
    """One part per run and bucket of genes. Without attributions, one empty part, which makes their columns known."""
    found = run_statement(con, "lake/files.digest_attributions", {"genes_per_bucket": size})
    for run_id, bucket, *numbers in found or [(0, 0, 0)]:
        genes = {"run_id": run_id, "first": bucket * size, "last": (bucket + 1) * size - 1}
        folder = f"attributions/run_id={run_id}/gene_bucket={bucket}"
        name = digest("attributions", kinds, (size, run_id, bucket, *numbers))
        yield Part("attributions", folder, name, statement("lake/files.attributions"), genes, run_id, bucket)


def digest(table: str, kinds: dict[str, str], numbers: tuple[object, ...]) -> str:
    """A name for rows: 32 hexadecimal digits that change with the rows, the columns and the format of the lake."""
    text = json.dumps([manifest.FORMAT, table, kinds, [str(each) for each in numbers]])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def move_into_lake(unfinished: Path, path: Path, root: Path) -> None:
    """Give a finished file its name in a lake, and write both to disk."""
    sync(unfinished)
    unfinished.replace(path)
    for folder in (path.parent, *path.parent.parents):
        sync(folder)
        if folder == root:
            break


def write_rows(rows: pa.RecordBatchReader, path: Path) -> int:
    """Write a Parquet file in row groups of ROW_GROUP rows, of which about one is in memory; return the row count."""
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
        pending = rows.schema.empty_table()
        for batch in rows:
            n_rows += len(batch)
            pending = pa.concat_tables([pending, pa.Table.from_batches([batch])])
            # A full row group waits for more rows. An empty one at the end would keep DuckDB from using the statistics.
            while len(pending) > ROW_GROUP:
                writer.write_table(pending.slice(0, ROW_GROUP))
                pending = pending.slice(ROW_GROUP)
        writer.write_table(pending)
    return n_rows
