"""Read a matrix of counts from disk by cells, in bounded memory, whether it is stored by cells or by genes."""

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

from ingest.counts.files import convert_errors, open_store
from ingest.counts.spool import ENTRY, Spool, write_spool
from ingest.counts.values import check_integers, to_counts
from sigdb.disk import size_text
from sigdb.errors import CountsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from ingest.counts.files import Array, Group
    from ingest.counts.spool import Piece


__all__ = [
    "Contents",
    "RowReader",
    "RowSource",
    "is_by_cells",
    "is_sparse",
    "iterate_stored",
    "read_pointers",
    "shape_of",
]

# Entries of a sparse matrix, and values of a dense one, that are read at a time.
ENTRIES = 1 << 20
VALUES = 1 << 22
# A dense matrix whose chunks on disk span more values than this, over all columns, is not read by cells.
MOST_VALUES = 1 << 24


@dataclass(frozen=True)
class RowSource:
    """Where counts are stored by cells; all that a process needs to read them.

    path, counts_from: the file that the user named and the matrix in it, for messages. shape: (n_cells, n_columns) as
    stored. store, key: the file that is read and the matrix in it; an empty key means that `store` is the folder of a
    spool. columns: which columns are genes; default: all.
    """

    path: Path
    counts_from: str
    shape: tuple[int, int]
    store: Path
    key: str
    columns: NDArray[np.intp] | None = None

    @contextmanager
    def open(self) -> Iterator[RowReader]:
        """Open the matrix for reading."""
        with ExitStack() as stack:
            with convert_errors(self.path):
                if self.key:
                    matrix = stack.enter_context(open_store(self.store))[self.key]
                else:
                    matrix = stack.enter_context(Spool(self.store))
            yield RowReader(self, matrix)


@dataclass(frozen=True)
class Contents:
    """What a study's file contains.

    obs: metadata of the cells. var_names: names of the genes. layer: the matrix, as `open_counts` takes it. source:
    where the counts are stored by cells. If the file does not store them by cells, `pieces` yields all entries, and
    `source` lacks its spool. n_entries: number of entries, if known. notes: what a user should know about the counts.
    obsm: the key of the embeddings in the file; '' if it has none.
    """

    obs: pd.DataFrame
    var_names: tuple[str, ...]
    layer: str | None
    source: RowSource
    pieces: Callable[[], Iterator[Piece]] | None = None
    n_entries: int | None = None
    notes: tuple[str, ...] = ()
    obsm: str = ""

    @contextmanager
    def by_cells(self, folder: Path | None = None) -> Iterator[RowSource]:
        """The counts by cells: as stored, or in a spool below `folder` that is removed at the end of the block."""
        if self.pieces is None:
            yield self.source
        else:
            with make_spool(self.source, self.pieces(), self.n_entries, folder) as source:
                yield source


@dataclass(frozen=True)
class RowReader:
    """Counts that are open for reading. Only one thread at a time may read."""

    source: RowSource
    matrix: Any  # Group, Array or Spool

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """Index pointers of a CSR matrix."""
        return read_pointers(self.matrix, self.source.shape[0])

    def read(self, start: int, stop: int) -> csr_matrix:
        """The counts of cells start to stop: (n, n_genes) float32 in canonical form, without stored zeros.

        Raises CountsError if values are not counts or the file is damaged, and UnreadableError if it cannot be read.
        """
        source = self.source
        stop = min(stop, source.shape[0])
        with convert_errors(source.path):
            if isinstance(self.matrix, Spool):
                counts = self.matrix.read(start, stop, source.shape[1])
            elif is_sparse(self.matrix):
                counts = self.read_sparse(start, stop)
            else:
                counts = self.read_dense(start, stop)
            counts.check_format(full_check=True)
            counts.sum_duplicates()
            counts.eliminate_zeros()
            return counts if source.columns is None else counts[:, source.columns]

    def read_sparse(self, start: int, stop: int) -> csr_matrix:
        """Cells of a CSR matrix."""
        indptr = self.indptr[start : stop + 1]
        first, last = int(indptr[0]), int(indptr[-1])
        data = self.to_counts(self.matrix["data"][first:last], start, stop)
        shape = (stop - start, self.source.shape[1])
        return csr_matrix((data, self.matrix["indices"][first:last], indptr - first), shape=shape)

    def read_dense(self, start: int, stop: int) -> csr_matrix:
        """Cells of a dense matrix, a few at a time. A chunk on disk is never read twice."""
        step = max(rows_per_chunk(self.matrix), VALUES // self.source.shape[1], 1)
        bounds = [start, *range(start - start % step + step, stop, step), stop]
        parts = [csr_matrix(self.to_counts(self.matrix[low:high], low, high)) for low, high in pairwise(bounds)]
        return vstack(parts, format="csr")

    def to_counts(self, values: NDArray[np.number], start: int, stop: int) -> NDArray[np.float32]:
        """Values of cells start to stop as float32; CountsError if they are not counts."""
        return to_counts(values, self.source.path, self.source.counts_from, f" in cells {start} to {stop - 1}")


def read_pointers(matrix: Group, n: int) -> NDArray[np.int64]:
    """The index pointers of n cells or genes of a sparse matrix; ValueError if they do not fit its data."""
    found = matrix["indptr"][:]
    check_integers(found, "index pointers")
    check_integers(matrix["indices"], "indices")
    indptr: NDArray[np.int64] = found.astype(np.int64)
    if len(indptr) != n + 1 or indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise ValueError("its index pointers do not fit its shape")
    if any(matrix[name].shape != (indptr[-1],) for name in ("data", "indices")):
        raise ValueError("its index pointers do not fit its data")
    return indptr


def is_sparse(matrix: Group | Array) -> bool:
    """Whether a matrix is stored sparse."""
    return isinstance(matrix, h5py.Group | zarr.Group)


def shape_of(matrix: Group | Array) -> tuple[int, int]:
    """Number of cells and of genes of a matrix of AnnData."""
    n_cells, n_genes = anndata.io.sparse_dataset(matrix).shape if is_sparse(matrix) else matrix.shape
    return int(n_cells), int(n_genes)


def rows_per_chunk(matrix: Array) -> int:
    """Number of rows in a chunk (or shard) of a dense matrix on disk."""
    chunk = getattr(matrix, "shards", None) or matrix.chunks
    return int(chunk[0]) if chunk else 1


def is_by_cells(matrix: Group | Array) -> bool:
    """Whether some cells of a matrix of AnnData can be read without reading much else."""
    if is_sparse(matrix):
        return bool(anndata.io.sparse_dataset(matrix).format == "csr")
    return rows_per_chunk(matrix) * int(matrix.shape[1]) <= MOST_VALUES


def iterate_stored(path: Path, key: str) -> Iterator[Piece]:
    """Yield all entries of a matrix in a file, in the order in which they are stored."""
    with open_store(path) as store:
        matrix = store[key]
        yield from iterate_csc(matrix, shape_of(matrix)[1]) if is_sparse(matrix) else iterate_dense(matrix)


def iterate_csc(matrix: Group, n_genes: int) -> Iterator[Piece]:
    """Yield all entries of a CSC matrix."""
    indptr = read_pointers(matrix, n_genes)
    n_entries = int(indptr[-1])
    for start in range(0, n_entries, ENTRIES):
        stop = min(start + ENTRIES, n_entries)
        genes = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr.clip(start, stop)))
        yield matrix["indices"][start:stop], genes, matrix["data"][start:stop]


def iterate_dense(matrix: Array) -> Iterator[Piece]:
    """Yield all entries of a dense matrix, by chunks on disk."""
    n_rows, n_columns = getattr(matrix, "shards", None) or matrix.chunks
    n_columns *= max(1, VALUES // (n_rows * n_columns))
    for row, column in product(range(0, matrix.shape[0], n_rows), range(0, matrix.shape[1], n_columns)):
        part = matrix[row : row + n_rows, column : column + n_columns]
        cells, genes = np.nonzero(part)
        yield cells + row, genes + column, part[cells, genes]


@contextmanager
def make_spool(
    source: RowSource, pieces: Iterable[Piece], n_entries: int | None = None, folder: Path | None = None
) -> Iterator[RowSource]:
    """Sort the entries of a matrix by cells into a temporary folder, which is removed at the end of the block.

    pieces: all entries. n_entries: their number, if known. folder: where to make the temporary folder; default: the
    system's folder for temporary files. Raises CountsError if values are not counts, or if there is not enough space.
    """
    with tempfile.TemporaryDirectory(prefix="sigdb-", dir=folder) as name:
        spool = Path(name)
        free, needed = shutil.disk_usage(spool).free, (n_entries or 0) * ENTRY.itemsize
        if needed > free:
            raise CountsError(
                f"{source.path} is not stored by cells, and takes {size_text(needed)} to sort, but {spool.parent} "
                f"has only {size_text(free)} of free space. Set TMPDIR to a folder with more space."
            )
        with convert_errors(source.path):
            write_spool(spool, pieces, path=source.path, counts_from=source.counts_from, shape=source.shape)
        yield replace(source, store=spool, key="")
