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
from ingest.counts.matrix import Contents, RowSource
from ingest.counts.values import check_not_empty, check_shape
from sigdb.errors import CountsError, OptionError, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from numpy.typing import NDArray

    from ingest.counts.files import Group
    from ingest.counts.spool import Piece

__all__ = ["is_cell_ranger", "read_folder", "read_h5"]

GENES = "Gene Expression"
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
    if "matrix" in groups:
        key = "matrix"
        features = store["matrix/features"]
        names = choose_names(read_strings(features["id"]), read_strings(features["name"]))
        is_gene = read_strings(features["feature_type"]) == GENES
        of_genome = read_strings(features["genome"]) if "genome" in features else np.full(len(names), "", object)
        genome = choose_genome(path, sorted(set(of_genome[is_gene])), layer)
        is_gene &= of_genome == genome
    else:
        key = genome = choose_genome(path, groups, layer)
        names = choose_names(read_strings(store[key]["genes"]), read_strings(store[key]["gene_names"]))
        is_gene = np.ones(len(names), bool)
    barcodes = read_strings(store[key]["barcodes"])
    n_features, n_cells = map(int, store[key]["shape"][:])
    check_shape(path, key, (n_cells, n_features), len(barcodes), len(names))
    # With several genomes, Cell Ranger puts the genome before the gene: GRCh38_LYZ, mm10___Lyz2.
    prefix = f"{genome}_" if genome else None
    plain = (name.removeprefix(prefix).lstrip("_") if prefix and name.startswith(prefix) else name for name in names)
    source = RowSource(path, key, (n_cells, n_features), path, key)
    return select_genes(source, barcodes, np.array(list(plain), dtype=object), is_gene, genome or None)


def select_genes(
    source: RowSource,
    barcodes: NDArray[np.object_],
    names: NDArray[np.object_],
    is_gene: NDArray[np.bool_],
    layer: str | None,
) -> Contents:
    """The contents of a matrix of features, reduced to the genes."""
    check_not_empty(source.path, len(barcodes), "cells")
    columns = np.flatnonzero(is_gene)
    if not len(columns):
        raise CountsError(f"{source.path} has {len(names)} features, but none of the type {GENES!r}.")
    if len(columns) < len(names):
        source = replace(source, columns=columns)
    obs = pd.DataFrame(index=pd.Index(barcodes, dtype=object))
    return Contents(obs, tuple(names[columns]), layer, source)


def choose_genome(path: Path, genomes: list[str], layer: str | None) -> str:
    """The genome that `layer` names, or the only one; OptionError if it does not exist, or there are several."""
    if layer is not None and layer not in genomes:
        raise OptionError(
            f"{path} has no genome {layer!r} (`layer`).{nearest(layer, genomes)} It has: {listed(genomes)}."
        )
    if layer is None and len(genomes) > 1:
        raise OptionError(f"{path} has genes of {len(genomes)} genomes: {listed(genomes)}. Choose one with `layer`.")
    return layer or (genomes[0] if genomes else "")


def choose_names(ids: NDArray[np.object_], symbols: NDArray[np.object_]) -> NDArray[np.object_]:
    """The name of each feature: its symbol, which most models use, or its id if it has no symbol."""
    return np.where(symbols == "", ids, symbols)


def read_strings(dataset: Group) -> NDArray[np.object_]:
    """A dataset of strings."""
    values = (value.decode() if isinstance(value, bytes) else str(value) for value in dataset[:])
    return np.array(list(values), dtype=object)


def read_folder(path: Path, layer: str | None) -> Contents:
    """Read a folder with matrix.mtx, barcodes.tsv and features.tsv or genes.tsv, each plain or gzipped."""
    matrix = find_file(path, "matrix.mtx")
    barcodes = read_tsv(find_file(path, "barcodes.tsv"))[0]
    features = read_tsv(find_file(path, "features.tsv", "genes.tsv"))
    if layer is not None:
        raise OptionError(f"{path} has only one matrix, {matrix.name}: leave `layer={layer!r}` out.")
    names = choose_names(features[0], features[min(1, len(features) - 1)])
    is_gene = features[2] == GENES if len(features) > 2 else np.ones(len(names), bool)
    mtx = MatrixMarket(matrix)
    check_shape(path, matrix.name, (mtx.n_cells, mtx.n_features), len(barcodes), len(names))
    source = RowSource(path, matrix.name, (mtx.n_cells, mtx.n_features), path, "")
    contents = select_genes(source, barcodes, names, is_gene, None)
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
    return [np.array(column.to_pylist(), dtype=object) for column in table.columns]


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
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
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
