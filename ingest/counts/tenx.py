"""The output of 10x Genomics' Cell Ranger: .h5 files, and folders of matrix.mtx, barcodes.tsv and features.tsv."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from ingest.counts.matrix import Contents, RowSource
from ingest.counts.values import check_any, check_shape
from sigdb.errors import CountsError, listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.counts.values import Group, Piece

__all__ = ["is_cell_ranger", "read_folder", "read_h5"]

GENES = "Gene Expression"
# Text of matrix.mtx that is parsed at a time, in bytes; Arrow has many of them in memory.
TEXT = 1 << 20


def is_cell_ranger(store: Group) -> bool:
    """Whether a file is a matrix of Cell Ranger, which writes no zarr."""
    return isinstance(store, h5py.Group) and bool(matrix_groups(store))


def matrix_groups(store: Group) -> list[str]:
    """The matrices of a file of Cell Ranger: one, or until version 2 one a genome."""
    parts = {"barcodes", "data", "indices", "indptr", "shape"}
    return sorted(name for name, group in store.items() if hasattr(group, "keys") and parts <= set(group))


def read_h5(store: Group, path: Path, layer: str | None) -> Contents:
    """Read the metadata of an .h5 file, versions 2 and 3; layer: the genome, where there are several."""
    places = matrix_groups(store)
    if "matrix" in places:
        place = "matrix"
        features = store["matrix/features"]
        names = gene_names(strings(features["id"]), strings(features["name"]))
        is_gene = strings(features["feature_type"]) == GENES
        of_genome = strings(features["genome"]) if "genome" in features else np.full(len(names), "", object)
        genome = choose_genome(path, sorted(set(of_genome[is_gene])), layer)
        is_gene &= of_genome == genome
    else:
        place = genome = choose_genome(path, places, layer)
        names = gene_names(strings(store[place]["genes"]), strings(store[place]["gene_names"]))
        is_gene = np.ones(len(names), bool)
    barcodes = strings(store[place]["barcodes"])
    n_features, n_cells = map(int, store[place]["shape"][:])
    check_shape(path, place, (n_cells, n_features), len(barcodes), len(names))
    # Where there are several, Cell Ranger puts the genome before the gene: GRCh38_LYZ, mm10___Lyz2.
    mark = f"{genome}_" if genome else None
    plain = (name.removeprefix(mark).lstrip("_") if mark and name.startswith(mark) else name for name in names)
    source = RowSource(path, place, (n_cells, n_features), path, place)
    return contents(source, barcodes, np.array(list(plain), dtype=object), is_gene, genome or None)


def contents(
    source: RowSource,
    barcodes: NDArray[np.object_],
    names: NDArray[np.object_],
    is_gene: NDArray[np.bool_],
    layer: str | None,
) -> Contents:
    """The genes of a matrix of features."""
    check_any(source.path, len(barcodes), "cells")
    columns = np.flatnonzero(is_gene)
    if not len(columns):
        raise CountsError(f"{source.path} has {len(names)} features, but none is of the type {GENES!r}.")
    if len(columns) < len(names):
        source = replace(source, columns=columns)
    obs = pd.DataFrame(index=pd.Index(barcodes, dtype=object))
    return Contents(obs, tuple(names[columns]), layer, source)


def choose_genome(path: Path, genomes: list[str], layer: str | None) -> str:
    """The genome asked for, or the only one."""
    if layer is not None and layer not in genomes:
        raise CountsError(f"{path} has no genome {layer!r}; --layer takes one of: {listed(genomes)}.")
    if layer is None and len(genomes) > 1:
        raise CountsError(f"{path} has genes of {len(genomes)} genomes: {listed(genomes)}. Name one with --layer.")
    return layer or (genomes[0] if genomes else "")


def gene_names(ids: NDArray[np.object_], symbols: NDArray[np.object_]) -> NDArray[np.object_]:
    """What to call each feature: its symbol, which more models know than its id, or its id where there is none."""
    return np.where(symbols == "", ids, symbols)


def strings(dataset: Group) -> NDArray[np.object_]:
    """A dataset of names."""
    values = (value.decode() if isinstance(value, bytes) else str(value) for value in dataset[:])
    return np.array(list(values), dtype=object)


def read_folder(path: Path, layer: str | None) -> Contents:
    """Read a folder with matrix.mtx, barcodes.tsv and features.tsv or genes.tsv, each as it is or gzipped."""
    matrix = find(path, "matrix.mtx")
    barcodes = table(find(path, "barcodes.tsv"))[0]
    features = table(find(path, "features.tsv", "genes.tsv"))
    if layer is not None:
        raise CountsError(f"{path} has one matrix, {matrix.name}: leave --layer {layer} out.")
    names = gene_names(features[0], features[min(1, len(features) - 1)])
    is_gene = features[2] == GENES if len(features) > 2 else np.ones(len(names), bool)
    mtx = MatrixMarket(matrix)
    check_shape(path, matrix.name, (mtx.n_cells, mtx.n_features), len(barcodes), len(names))
    source = RowSource(path, matrix.name, (mtx.n_cells, mtx.n_features), path, "")
    found = contents(source, barcodes, names, is_gene, None)
    return replace(found, pieces=mtx.entries, n_entries=mtx.n_entries)


def find(folder: Path, *names: str) -> Path:
    """The file of a folder that has one of these names, perhaps behind a prefix, perhaps gzipped."""
    there = sorted(file for file in folder.iterdir() if file.name.removesuffix(".gz").endswith(names))
    if len(there) == 1:
        return there[0]
    wanted = " or ".join(names)
    if there:
        raise CountsError(f"{folder} has {len(there)} files {wanted}: {listed([file.name for file in there])}.")
    below = sorted({file.parent for file in folder.glob("*/*matrix.mtx*")} | set(folder.glob("*.h5*")))
    hint = f" Did you mean {listed(below, 3)}?" if below else ""
    raise CountsError(f"{folder} is no zarr folder of AnnData, and no folder of Cell Ranger: it has no {wanted}.{hint}")


def table(path: Path) -> list[NDArray[np.object_]]:
    """The columns of a file of tab-separated names without a header."""
    types = {f"f{number}": pa.string() for number in range(10)}
    with pa.input_stream(str(path)) as stream:
        found = csv.read_csv(
            stream, csv.ReadOptions(autogenerate_column_names=True), csv.ParseOptions(delimiter="\t", quote_char=False),
            csv.ConvertOptions(column_types=types),
        )  # fmt: skip
    return [np.array(column.to_pylist(), dtype=object) for column in found.columns]


class MatrixMarket:
    """A matrix.mtx, a line an entry: gene, cell (both from 1), count. Read once, as a stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            kind = lines.readline().lower().split()
            if kind[:3] != ["%%matrixmarket", "matrix", "coordinate"] or kind[4:] != ["general"]:
                raise CountsError(f"{path} is no sparse matrix in the format Matrix Market: {' '.join(kind)[:60]!r}.")
            self.n_header, line = 2, lines.readline()
            while line.startswith("%"):
                self.n_header, line = self.n_header + 1, lines.readline()
            self.n_features, self.n_cells, self.n_entries = map(int, line.split())
            self.separator = "\t" if "\t" in lines.readline() else " "
        self.type = pa.int64() if kind[3] == "integer" else pa.float64()

    def entries(self) -> Iterator[Piece]:
        """All entries; ValueError if they are not as many as the header says."""
        n_read = 0
        if self.n_entries:
            types = {"gene": pa.int64(), "cell": pa.int64(), "count": self.type}
            with (
                pa.input_stream(str(self.path)) as stream,
                csv.open_csv(
                    stream, csv.ReadOptions(skip_rows=self.n_header, column_names=list(types), block_size=TEXT),
                    csv.ParseOptions(delimiter=self.separator), csv.ConvertOptions(column_types=types),
                ) as batches,
            ):  # fmt: skip
                for batch in batches:
                    n_read += batch.num_rows
                    genes, cells, counts = (column.to_numpy() for column in batch.columns)
                    yield cells - 1, genes - 1, counts
        if n_read != self.n_entries:
            raise ValueError(f"{self.path.name} has {n_read} entries, but says that there are {self.n_entries}")
