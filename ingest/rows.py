"""Matrices of counts on disk, read by rows in bounded memory, in whatever order they are stored."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import anndata
import h5py
import numpy as np
import zarr
from scipy.sparse import csr_matrix, vstack

from sigdb.errors import CountsError, DamagedError, SigdbError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    Group: TypeAlias = h5py.Group | zarr.Group
    Array: TypeAlias = h5py.Dataset | zarr.Array
    # Cells, genes and counts of some entries, in any order.
    Piece: TypeAlias = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]]

__all__ = [
    "Contents", "RowReader", "RowSource", "broken_file", "check_any", "check_shape", "is_by_rows",
    "is_sparse", "not_counts", "open_store", "shape_of", "stored_entries",
]  # fmt: skip

# Float32, in which is computed, holds all whole numbers up to here.
MOST = 2**24
# Entries of a sparse matrix and values of a dense one that are read at a time.
ENTRIES = 1 << 20
VALUES = 1 << 22
# The rows of a dense matrix that lie in one piece on disk may have this many values.
MOST_VALUES = 1 << 24
# A spool keeps the entries of this many cells together: as many as ingest asks for at a time.
BLOCK = 2048
ENTRY = np.dtype([("cell", "<u2"), ("gene", "<u4"), ("count", "<f4")])


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


def check_any(path: Path, n: int, what: str) -> None:
    """Raise CountsError if there are none."""
    if not n:
        raise CountsError(f"{path} has no {what}.")


def check_shape(path: Path, matrix: str, shape: tuple[int, int], n_cells: int, n_genes: int) -> None:
    """Raise CountsError if a matrix is not of as many cells and genes as are described."""
    check_any(path, n_genes, "genes")
    if shape != (n_cells, n_genes):
        raise CountsError(
            f"{path}: {matrix} is of {shape[0]} cells and {shape[1]} genes, but {n_cells} cells and {n_genes} genes "
            "are described."
        )


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
        data = checked(self.matrix["data"][first:last], self.source, f" in cells {start} to {stop - 1}")
        shape = (stop - start, self.source.shape[1])
        return csr_matrix((data, self.matrix["indices"][first:last], indptr - first), shape=shape)

    def dense_rows(self, start: int, stop: int) -> csr_matrix:
        """Rows of a dense matrix, few at a time, but never a part of those that are one piece on disk."""
        step = max(rows_together(self.matrix), VALUES // self.source.shape[1], 1)
        bounds = [start, *range(start - start % step + step, stop, step), stop]
        parts = [
            csr_matrix(checked(self.matrix[low:high], self.source, f" in cells {low} to {high - 1}"))
            for low, high in pairwise(bounds)
        ]
        return vstack(parts, format="csr")


def pointers(matrix: Group) -> NDArray[np.int64]:
    """The index pointers of a sparse matrix; ValueError if they do not fit its data."""
    indptr = np.asarray(matrix["indptr"][:], dtype=np.int64)
    if indptr[0] != 0 or indptr[-1] != matrix["data"].shape[0] or (np.diff(indptr) < 0).any():
        raise ValueError("its index pointers do not fit its data")
    return indptr


def checked(values: NDArray[np.number], source: RowSource, where: str) -> NDArray[np.float32]:
    """Values as float32; CountsError if they are not counts."""
    if problem := not_counts(values):
        raise CountsError(
            f"{source.path}, {source.counts_from}: {problem}{where}. If the raw counts are in another matrix, name it "
            "with --layer."
        )
    return values.astype(np.float32)


def not_counts(values: NDArray[np.number]) -> str | None:
    """What is wrong with values that should be raw counts, or None. Counts are finite, not negative, and whole."""
    if not values.size:
        return None
    if not np.isfinite(values).all():
        return f"{int((~np.isfinite(values)).sum())} NaN or infinite values"
    if values.min() < 0:
        return f"negative values, down to {values.min():.3g} (scaled or centred data)"
    n_fractions = int((values % 1 != 0).sum()) if values.dtype.kind == "f" else 0
    if n_fractions:
        kind = "log-normalised" if values.max() < 20 else "normalised"
        return f"{n_fractions} fractional values of {values.size}, up to {values.max():.3g} (they look {kind})"
    if values.max() > MOST:
        return f"values up to {values.max():.3g}, more than any count of a gene in a cell ({MOST:,} at most)"
    return None


@contextmanager
def open_store(path: Path) -> Iterator[Group]:
    """Open a zarr folder or an HDF5 file; DamagedError if it is neither, UnreadableError."""
    if path.is_dir():
        with broken_file(path):
            group = zarr.open_group(path, mode="r")
        yield group
        return
    with broken_file(path):
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            if errno_of(error):
                raise
            text = f"{path} cannot be read as HDF5, which .h5ad and Cell Ranger's .h5 are: {error}"
            raise DamagedError(text) from error
    with file:
        yield file


@contextmanager
def broken_file(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong inside h5py, zarr, anndata and scipy on a damaged file into a DamagedError.

    UnreadableError where it is the system that could not read the file: another machine may, or a later attempt.
    """
    try:
        yield
    except (SigdbError, MemoryError):
        raise
    except Exception as error:
        if number := errno_of(error):
            raise UnreadableError(f"{path} could not be read: {os.strerror(number)}") from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedError(f"{path} is damaged, or not as AnnData or Cell Ranger write it: {reason}") from error


def errno_of(error: Exception) -> int:
    """The number of the system's error behind an error, 0 if there is none; h5py may have it in its text alone."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"\berrno = (\d+)", str(error))
    return int(found[1]) if found else 0


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
            write_spool(folder, source, pieces)
        yield replace(source, stored=folder, place="")


def write_spool(folder: Path, source: RowSource, pieces: Iterable[Piece]) -> None:
    """Write entries to a file, each piece sorted by block of cells, and where the entries of each block are."""
    runs, n_written = [np.zeros((0, 3), np.int64)], 0
    with (folder / Spool.ENTRIES).open("wb") as file:
        for cells, genes, counts in pieces:
            for places, n_places, what in zip((cells, genes), source.shape, ("cell", "gene"), strict=True):
                if len(places) and not 0 <= places.min() <= places.max() < n_places:
                    raise ValueError(f"it has entries of a {what} that is not there")
            values = checked(counts, source, "")
            block = cells // BLOCK
            order = np.argsort(block.astype(np.min_scalar_type(source.shape[0] // BLOCK)), kind="stable")
            sorted_entries = np.empty(len(order), ENTRY)
            sorted_entries["cell"] = (cells % BLOCK)[order]
            sorted_entries["gene"] = genes[order]
            sorted_entries["count"] = values[order]
            try:
                file.write(sorted_entries.view(np.uint8).data)
            except OSError as error:
                raise CountsError(
                    f"{source.path} is not stored by cells, and cannot be sorted in {folder.parent}: {error}. "
                    "Set TMPDIR to a folder with more room."
                ) from error
            blocks, starts, lengths = np.unique(block[order], return_index=True, return_counts=True)
            runs.append(np.stack([blocks, starts + n_written, lengths], axis=1))
            n_written += len(order)
    every = np.concatenate(runs)
    np.save(folder / Spool.RUNS, every[np.argsort(every[:, 0], kind="stable")])


class Spool:
    """The entries of a matrix in a temporary folder, those of a block of cells together; a context manager.

    Each row of `runs` is (block of cells, first entry, number of entries), sorted by block.
    """

    ENTRIES = "entries"
    RUNS = "runs.npy"

    def __init__(self, folder: Path) -> None:
        self.runs = np.load(folder / self.RUNS)
        self.file = (folder / self.ENTRIES).open("rb")

    def __enter__(self) -> Spool:
        """Return the spool itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.file.close()

    def rows(self, start: int, stop: int, n_columns: int) -> csr_matrix:
        """Rows start to stop."""
        first, last = start // BLOCK, -(-stop // BLOCK)
        blocks = vstack([self.block(number, n_columns) for number in range(first, last)], format="csr")
        return blocks[start - first * BLOCK : stop - first * BLOCK]

    def block(self, number: int, n_columns: int) -> csr_matrix:
        """The rows of one block, BLOCK of them even where it is the last."""
        low, high = np.searchsorted(self.runs[:, 0], [number, number + 1])
        parts = [np.empty(0, ENTRY)]
        for _, start, length in self.runs[low:high]:
            self.file.seek(start * ENTRY.itemsize)
            parts.append(np.frombuffer(self.file.read(length * ENTRY.itemsize), ENTRY, length))
        found = np.concatenate(parts)
        shape = (BLOCK, n_columns)
        return csr_matrix((found["count"], (found["cell"], found["gene"].astype(np.int32))), shape=shape)
