"""Bytes per row of the attributions as Parquet, by the encoding of their columns.

    python -m benchmarks.encodings demo.duckdb

The files have row groups of 262,144 rows, as `sigdb export` writes them, sorted by gene and cell, with statistics and a
page index. DuckDB reads all columns from the page cache, and the best of three times counts.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import sigdb
from sigdb.cli.output import print_table
from sigdb.lake.files import ROW_GROUP
from sigdb.statements import literal

ROWS = "SELECT gene_id, cell_id, score FROM sigdb_data.attributions WHERE run_id = 0 ORDER BY ALL"
READ = "SELECT sum(gene_id), sum(cell_id), sum(score) FROM read_parquet(?)"
COPY = " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 262144, PARQUET_VERSION v2)"
SPLIT = {"cell_id": "DELTA_BINARY_PACKED", "score": "BYTE_STREAM_SPLIT"}


@dataclass(frozen=True)
class Encoding:
    """Settings of pyarrow's writer. dictionary: the columns that are written with a dictionary."""

    name: str
    level: int
    dictionary: bool | list[str] = field(default_factory=lambda: ["gene_id"])
    columns: dict[str, str] = field(default_factory=dict)
    compression: str = "zstd"


ENCODINGS = (
    Encoding("all plain", 3, dictionary=False),
    Encoding("pyarrow's defaults, snappy", 0, dictionary=True, compression="snappy"),
    Encoding("pyarrow's defaults", 3, dictionary=True),
    Encoding("gene_id as dictionary, the rest plain", 3),
    Encoding("and cell_id DELTA_BINARY_PACKED", 3, columns={"cell_id": "DELTA_BINARY_PACKED"}),
    Encoding("and score BYTE_STREAM_SPLIT", 3, columns=SPLIT),
    Encoding("cell_id BYTE_STREAM_SPLIT too", 3, columns=dict.fromkeys(SPLIT, "BYTE_STREAM_SPLIT")),
    Encoding("cell_id DELTA, score as dictionary", 3, ["gene_id", "score"], {"cell_id": SPLIT["cell_id"]}),
    Encoding("as chosen, zstd 1", 1, columns=SPLIT),
    Encoding("as chosen, zstd 9", 9, columns=SPLIT),
    Encoding("as chosen, lz4", 0, columns=SPLIT, compression="lz4"),
)


def measure(rows: pa.Table, encoding: Encoding, folder: Path) -> tuple[str, float, float, float]:
    """Name, bytes per row, million rows written and read per second."""
    file = folder / "scores.parquet"
    begin = time.perf_counter()
    pq.write_table(
        rows,
        file,
        row_group_size=ROW_GROUP,
        compression=encoding.compression,
        compression_level=encoding.level or None,
        use_dictionary=encoding.dictionary,
        column_encoding=encoding.columns or None,
        write_page_index=True,
    )
    return encoding.name, file.stat().st_size / len(rows), *rates(len(rows), time.perf_counter() - begin, file)


def rates(n: int, written: float, file: Path) -> tuple[float, float]:
    """Million rows per second, written and read."""
    times = []
    with duckdb.connect() as con:
        for _ in range(3):
            begin = time.perf_counter()
            con.execute(READ, [str(file)]).fetchall()
            times.append(time.perf_counter() - begin)
    return n / written / 1e6, n / min(times) / 1e6


def measure_copy(atlas: Path, folder: Path) -> tuple[str, float, float, float]:
    """The same figures for DuckDB's writer, which chooses encodings itself."""
    file = folder / "copied.parquet"
    with sigdb.connect(atlas) as con:
        ((n,),) = con.execute("SELECT count(*) FROM sigdb_data.attributions WHERE run_id = 0").fetchall()
        begin = time.perf_counter()
        con.execute("COPY (" + ROWS + ") TO " + literal(str(file)) + COPY)
    return "DuckDB's COPY, zstd, version 2", file.stat().st_size / n, *rates(n, time.perf_counter() - begin, file)


def main() -> None:
    """Measure all encodings on an atlas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    atlas = parser.parse_args().atlas
    with sigdb.connect(atlas) as con:
        rows = pa.table(con.sql(ROWS))
    with TemporaryDirectory() as folder:
        found = [measure_copy(atlas, Path(folder)), *(measure(rows, each, Path(folder)) for each in ENCODINGS)]
    print_table(["encoding", "bytes per row", "M rows/s written", "M rows/s read"], found)


if __name__ == "__main__":
    main()
