"""Matrices of counts on disk, read by rows in bounded memory, in whatever order they are stored."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import zarr
from scipy.sparse import csr_matrix, vstack

from ingest.counts.spool import ENTRY, Spool, write_spool
from ingest.counts.values import ENTRIES, broken_file, checked, open_store
from sigdb.errors import CountsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from ingest.counts.values import Array, Group, Piece


__all__ = ["Contents", "RowReader", "RowSource", "is_by_rows", "is_sparse", "shape_of", "stored_entries"]
VALUES = 1 << 22
# The rows of a dense matrix that lie in one piece on disk may have this many values.
MOST_VALUES = 1 << 24


@dataclass(frozen=True)
class RowSource:
    """Where counts lie by rows; what any process needs to read them.

    path, counts_from: the file that the user named, and its matrix. shape: (n_cells, n_columns), as stored; columns:
    those that are genes (default: all). stored, place: what is read, and where in it; a spool if place is ''.
    """

    path: Path
    counts_from: str
    shape: tuple[int, int]
    stored: Path
    place: str
    columns: NDArray[np.intp] | None = None

    @contextmanager
    def open(self) -> Iterator[RowReader]:
        """Open it for reading."""
        with ExitStack() as stack:
            with broken_file(self.path):
                if self.place:
                    matrix = stack.enter_context(open_store(self.stored))[self.place]
                else:
                    matrix = stack.enter_context(Spool(self.stored))
            yield RowReader(self, matrix)


@dataclass(frozen=True)
class Contents:
    """What is in a study's file.

    var_names: of the genes. layer: the matrix, as --layer names it. source: where it lies by rows; if it does not, a
    spool still to be written of `pieces`, which are n_entries, where that is known.
    """

    obs: pd.DataFrame
    var_names: tuple[str, ...]
    layer: str | None
    source: RowSource
    pieces: Callable[[], Iterator[Piece]] | None = None
    n_entries: int | None = None

    @contextmanager
    def by_rows(self, spool: Path | None = None) -> Iterator[RowSource]:
        """The matrix by rows: as it is, or in a temporary file, in the folder `spool`, that goes with the block."""
        if self.pieces is None:
            yield self.source
        else:
            with spooled(self.source, self.pieces(), self.n_entries, spool) as source:
                yield source


@dataclass(frozen=True)
class RowReader:
    """Counts that are open for reading, by one thread at a time."""

    source: RowSource
    matrix: Any  # Group, Array or Spool

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """Where the rows of a CSR matrix begin."""
        return pointers(self.matrix)

    def rows(self, start: int, stop: int) -> csr_matrix:
        """The counts of cells start to stop, (n, n_genes) float32, each once and no zeros stored.

        Raises CountsError where they are not counts, or the file is damaged, and UnreadableError.
        """
        source = self.source
        stop = min(stop, source.shape[0])
        with broken_file(source.path):
            if isinstance(self.matrix, Spool):
                rows = self.matrix.rows(start, stop, source.shape[1])
            else:
                rows = self.sparse_rows(start, stop) if is_sparse(self.matrix) else self.dense_rows(start, stop)
            rows.check_format(full_check=True)
            rows.sum_duplicates()
            rows.eliminate_zeros()
            return rows if source.columns is None else rows[:, source.columns]

    def sparse_rows(self, start: int, stop: int) -> csr_matrix:
        """Rows of a CSR matrix."""
        indptr = self.indptr[start : stop + 1]
        first, last = int(indptr[0]), int(indptr[-1])
        data = self.checked(self.matrix["data"][first:last], start, stop)
        shape = (stop - start, self.source.shape[1])
        return csr_matrix((data, self.matrix["indices"][first:last], indptr - first), shape=shape)

    def checked(self, values: NDArray[np.number], start: int, stop: int) -> NDArray[np.float32]:
        """Values of cells start to stop as float32; CountsError if they are not counts."""
        return checked(values, self.source.path, self.source.counts_from, f" in cells {start} to {stop - 1}")

    def dense_rows(self, start: int, stop: int) -> csr_matrix:
        """Rows of a dense matrix, few at a time, but never a part of those that are one piece on disk."""
        step = max(rows_together(self.matrix), VALUES // self.source.shape[1], 1)
        bounds = [start, *range(start - start % step + step, stop, step), stop]
        parts = [csr_matrix(self.checked(self.matrix[low:high], low, high)) for low, high in pairwise(bounds)]
        return vstack(parts, format="csr")


def pointers(matrix: Group) -> NDArray[np.int64]:
    """The index pointers of a sparse matrix; ValueError if they do not fit its data."""
    indptr = np.asarray(matrix["indptr"][:], dtype=np.int64)
    if indptr[0] != 0 or indptr[-1] != matrix["data"].shape[0] or (np.diff(indptr) < 0).any():
        raise ValueError("its index pointers do not fit its data")
    return indptr


def is_sparse(matrix: Group | Array) -> bool:
    """Whether a matrix is stored sparse."""
    return isinstance(matrix, h5py.Group | zarr.Group)


def shape_of(matrix: Group | Array) -> tuple[int, int]:
    """Cells and genes of a matrix of AnnData."""
    n_cells, n_genes = anndata.io.sparse_dataset(matrix).shape if is_sparse(matrix) else matrix.shape
    return int(n_cells), int(n_genes)


def rows_together(matrix: Array) -> int:
    """How many rows of a dense matrix are one piece on disk."""
    pieces = getattr(matrix, "shards", None) or matrix.chunks
    return int(pieces[0]) if pieces else 1


def is_by_rows(matrix: Group | Array) -> bool:
    """Whether some rows of a matrix of AnnData can be read without reading much else."""
    if is_sparse(matrix):
        return bool(anndata.io.sparse_dataset(matrix).format == "csr")
    return rows_together(matrix) * int(matrix.shape[1]) <= MOST_VALUES


def stored_entries(path: Path, place: str) -> Iterator[Piece]:
    """All entries of a matrix in a file, in the order in which they are stored."""
    with open_store(path) as store:
        yield from entries(store[place])


def entries(matrix: Group | Array) -> Iterator[Piece]:
    """All entries of a CSC matrix, or of a dense one piece after piece."""
    if is_sparse(matrix):
        indptr = pointers(matrix)
        n_entries = int(indptr[-1])
        for start in range(0, n_entries, ENTRIES):
            stop = min(start + ENTRIES, n_entries)
            genes = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr.clip(start, stop)))
            yield matrix["indices"][start:stop], genes, matrix["data"][start:stop]
        return
    n_rows, n_columns = getattr(matrix, "shards", None) or matrix.chunks
    n_columns *= max(1, VALUES // (n_rows * n_columns))
    for row, column in product(range(0, matrix.shape[0], n_rows), range(0, matrix.shape[1], n_columns)):
        part = matrix[row : row + n_rows, column : column + n_columns]
        cells, genes = np.nonzero(part)
        yield cells + row, genes + column, part[cells, genes]


@contextmanager
def spooled(
    source: RowSource, pieces: Iterable[Piece], n_entries: int | None = None, within: Path | None = None
) -> Iterator[RowSource]:
    """The counts of a matrix that is not by rows, by rows: in a temporary folder, which goes with the block.

    pieces: all of it. n_entries: how many entries that are, where known. within: where that folder is to be (default:
    where temporary files are). Raises CountsError if they are not counts, or
    there is no room for them.
    """
    with tempfile.TemporaryDirectory(prefix="sigdb-", dir=within) as name:
        folder = Path(name)
        room, needed = shutil.disk_usage(folder).free, (n_entries or 0) * ENTRY.itemsize
        if needed > room:
            raise CountsError(
                f"{source.path} is not stored by cells, and takes {needed / 1e9:.1f} GB to sort, but {folder.parent} "
                f"has room for {room / 1e9:.1f} GB. Set TMPDIR to a folder with more."
            )
        with broken_file(source.path):
            write_spool(folder, pieces, path=source.path, counts_from=source.counts_from, shape=source.shape)
        yield replace(source, stored=folder, place="")
