"""The output of 10x Genomics' Cell Ranger: .h5 files, and folders with matrix.mtx, barcodes.tsv and features.tsv."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from ingest.counts.contained import check_text
from ingest.counts.features import Features, choose_genes, choose_genome
from ingest.counts.matrix import Contents, RowSource
from ingest.counts.values import check_not_empty, check_shape
from sigdb.errors import CountsError, listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from numpy.typing import NDArray

    from ingest.counts.files import Group
    from ingest.counts.spool import Piece

__all__ = ["is_cell_ranger", "read_folder", "read_h5"]

# Bytes of matrix.mtx that are parsed at a time. Arrow keeps several such blocks in memory.
TEXT = 1 << 20
# Lines before the entries of matrix.mtx.
MOST_COMMENTS = 10_000


def is_cell_ranger(store: Group) -> bool:
    """Whether an open file is a matrix of Cell Ranger. Cell Ranger does not write zarr."""
    return isinstance(store, h5py.Group) and bool(matrix_groups(store))


def matrix_groups(store: Group) -> list[str]:
    """The groups of a Cell Ranger file that are matrices: one in version 3, one per genome in version 2."""
    parts = {"barcodes", "data", "indices", "indptr", "shape"}
    return sorted(name for name, group in store.items() if hasattr(group, "keys") and parts <= set(group))


def read_h5(store: Group, path: Path, layer: str | None) -> Contents:
    """Read the metadata of an .h5 file, versions 2 and 3. layer: the genome, if there are several."""
    groups = matrix_groups(store)
    key = "matrix" if "matrix" in groups else choose_genome(path, groups, layer)
    group = store[key]
    if "features" in group:
        features = group["features"]
        columns = [name for name in ("id", "name", "feature_type", "genome") if name in features]
        about = {name: read_strings(features[name]) for name in columns}
    else:
        about = {"id": read_strings(group["genes"]), "name": read_strings(group["gene_names"])}
        about["genome"] = np.full(len(about["id"]), "" if key == "matrix" else key, object)
    names = choose_names(about["id"], about["name"])
    barcodes = read_strings(group["barcodes"])
    n_features, n_cells = map(int, group["shape"][:])
    check_shape(path, key, (n_cells, n_features), len(barcodes), len(names))
    source = RowSource(path, key, (n_cells, n_features), path, key)
    return select_genes(source, barcodes, Features.of(names, pd.DataFrame(about)), layer)


def select_genes(source: RowSource, barcodes: NDArray[np.object_], features: Features, layer: str | None) -> Contents:
    """The contents of a matrix of features, reduced to the genes."""
    check_not_empty(source.path, len(barcodes), "cells")
    genes = choose_genes(source.path, features, layer)
    obs = pd.DataFrame(index=pd.Index(barcodes, dtype=object))
    return Contents(obs, genes.names, genes.genome, replace(source, columns=genes.columns), notes=genes.notes)


def choose_names(ids: NDArray[np.object_], symbols: NDArray[np.object_]) -> NDArray[np.object_]:
    """The name of each feature: its symbol, which most models use, or its id if it has no symbol."""
    return np.where(symbols == "", ids, symbols)


def read_strings(dataset: Group) -> NDArray[np.object_]:
    """A dataset of strings."""
    values = (value.decode() if isinstance(value, bytes) else str(value) for value in dataset[:])
    return np.array(list(values), dtype=object)


def read_folder(path: Path, layer: str | None) -> Contents:
    """Read a folder with matrix.mtx, barcodes.tsv and features.tsv or genes.tsv, each plain or gzipped.

    layer: the genome, if there are several.
    """
    matrix = find_file(path, "matrix.mtx")
    barcodes = read_tsv(find_file(path, "barcodes.tsv"))[0]
    features = read_tsv(find_file(path, "features.tsv", "genes.tsv"))
    names = choose_names(features[0], features[min(1, len(features) - 1)])
    types = pd.DataFrame({"feature_type": features[2]} if len(features) > 2 else {})
    mtx = MatrixMarket(matrix)
    for lines, n, file in ((barcodes, mtx.n_cells, "barcodes"), (names, mtx.n_features, "features")):
        if len(lines) == n + 1:
            raise CountsError(
                f"{path}: {file} has {n + 1} lines, one more than {matrix.name} describes. If its first line "
                f"({lines[0]}) is a header, remove it."
            )
    check_shape(path, matrix.name, (mtx.n_cells, mtx.n_features), len(barcodes), len(names))
    source = RowSource(path, matrix.name, (mtx.n_cells, mtx.n_features), path, "")
    contents = select_genes(source, barcodes, Features.of(names, types), layer)
    return replace(contents, pieces=mtx.iterate, n_entries=mtx.n_entries)


def find_file(folder: Path, *names: str) -> Path:
    """The file of a folder with one of these names. A prefix and gzip are allowed."""
    found = sorted(
        file for file in folder.iterdir() if file.is_file() and file.name.removesuffix(".gz").endswith(names)
    )
    if len(found) == 1:
        return found[0]
    wanted = " or ".join(names)
    if found:
        raise CountsError(f"{folder} has {len(found)} files {wanted}: {listed([file.name for file in found])}.")
    below = sorted({file.parent for file in folder.glob("*/*matrix.mtx*")} | set(folder.glob("*.h5*")))
    hint = f" Did you mean {listed(below, 3)}?" if below else ""
    raise CountsError(
        f"{folder} is neither a zarr folder of AnnData nor a folder of Cell Ranger: it has no {wanted}.{hint}"
    )


def read_tsv(path: Path) -> list[NDArray[np.object_]]:
    """The columns of a tab-separated file of names without a header."""
    types = {f"f{number}": pa.string() for number in range(10)}
    check_text(path)
    with pa.input_stream(str(path)) as stream:
        table = csv.read_csv(
            stream,
            csv.ReadOptions(autogenerate_column_names=True),
            csv.ParseOptions(delimiter="\t", quote_char=False),
            csv.ConvertOptions(column_types=types),
        )
    columns = [unquote(column.to_pylist()) for column in table.columns]
    if len(columns) > 1 and columns[0] == [str(number) for number in range(1, table.num_rows + 1)]:
        columns = columns[1:]  # R's write.table numbers the rows
    return [np.array(column, dtype=object) for column in columns]


def unquote(values: list[str]) -> list[str]:
    """A column without the spaces and quotes around every name, which R's write.table adds."""
    values = [value.strip() for value in values]
    quoted = all(len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" for value in values)
    return [value[1:-1] for value in values] if quoted else values


def read_line(lines: TextIO) -> str:
    """The next line of a text; ValueError if it is longer than TEXT."""
    line = lines.readline(TEXT)
    if len(line) == TEXT:
        raise ValueError(f"it has a line of more than {TEXT} characters")
    return line


class MatrixMarket:
    """A matrix.mtx file, with one line (gene, cell, count) per entry, numbered from 1. It is read as a stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        read = gzip.open if path.suffix == ".gz" else open
        with read(path, "rt", encoding="utf-8-sig", errors="replace") as lines:
            kind = read_line(lines).lower().split()
            if kind[:3] != ["%%matrixmarket", "matrix", "coordinate"] or kind[4:] != ["general"]:
                raise CountsError(
                    f"{path} is not a sparse matrix in Matrix Market format. It begins with {' '.join(kind)[:60]!r}."
                )
            self.n_header, line = 2, read_line(lines)
            while line.startswith("%") and self.n_header < MOST_COMMENTS:
                self.n_header, line = self.n_header + 1, read_line(lines)
            self.n_features, self.n_cells, self.n_entries = map(int, line.split())
            self.separator = "\t" if "\t" in read_line(lines) else " "
        if not 0 <= self.n_entries <= self.n_features * self.n_cells:
            raise ValueError(f"it claims {self.n_entries} entries of {self.n_cells} cells and {self.n_features} genes")
        self.type = pa.int64() if kind[3] == "integer" else pa.float64()

    def iterate(self) -> Iterator[Piece]:
        """Yield all entries; ValueError if there are not as many as the header says."""
        n_read = 0
        for batch in self.read_batches() if self.n_entries else ():
            n_read += batch.num_rows
            if n_read > self.n_entries:
                raise ValueError(f"{self.path.name} has more entries than the {self.n_entries} of its header")
            genes, cells, counts = (column.to_numpy() for column in batch.columns)
            yield cells - 1, genes - 1, counts
        if n_read != self.n_entries:
            raise ValueError(f"{self.path.name} has {n_read} entries, but its header says {self.n_entries}")

    def read_batches(self) -> Iterator[pa.RecordBatch]:
        """Parse the lines of the entries, batch by batch."""
        types = {"gene": pa.int64(), "cell": pa.int64(), "count": self.type}
        options = {
            "read_options": csv.ReadOptions(skip_rows=self.n_header, column_names=list(types), block_size=TEXT),
            "parse_options": csv.ParseOptions(delimiter=self.separator),
            "convert_options": csv.ConvertOptions(column_types=types),
        }
        with pa.input_stream(str(self.path)) as stream, csv.open_csv(stream, **options) as batches:
            yield from batches
