"""What counts are: the values that are allowed, and the files that hold them."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import h5py
import numpy as np
import zarr

from sigdb.errors import CountsError, DamagedError, SigdbError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Group: TypeAlias = h5py.Group | zarr.Group
    Array: TypeAlias = h5py.Dataset | zarr.Array
    # Cells, genes and counts of some entries, in any order.
    Piece: TypeAlias = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]]


__all__ = ["broken_file", "check_any", "check_shape", "checked", "not_counts", "open_store"]

# Float32, in which is computed, holds all whole numbers up to here.
MOST = 2**24
# Entries of a sparse matrix and values of a dense one that are read at a time.
ENTRIES = 1 << 20


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


def checked(values: NDArray[np.number], path: Path, counts_from: str, where: str = "") -> NDArray[np.float32]:
    """Values as float32; CountsError if they are not counts."""
    if problem := not_counts(values):
        raise CountsError(
            f"{path}, {counts_from}: {problem}{where}. If the raw counts are in another matrix, name it with --layer."
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
