"""Read a sparse matrix that scipy wrote (.npz), and check what the file says of itself before anything relies on it.

`scipy.sparse.load_npz` reserves memory for any shape, and converts a matrix whose row numbers are out of range.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from numpy.lib import format as npy
from scipy.sparse import bsr_matrix, coo_matrix, csc_matrix, csr_matrix, dia_matrix

from sigdb.errors import ScoresError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_lengths", "read_npz"]

COMPRESSED = {"csr": csr_matrix, "csc": csc_matrix, "bsr": bsr_matrix}
# The largest value in an array, in bytes.
MOST_BYTES = 16
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path, n_cells: int, n_genes: int) -> csr_matrix:
    """Read a sparse matrix of scipy in any of its formats: (n_cells, n_genes).

    Raises ScoresError if it has another shape, and ValueError or an exception of zipfile if the file is anything else.
    The memory is bounded by the size of a dense matrix of this shape.
    """
    with ZipFile(path) as archive:
        check_lengths(tuple(read_integers(archive, "shape", 2)), n_cells, n_genes)
        kind = read_array(archive, "format", 1).item()
        kind = kind.decode() if isinstance(kind, bytes) else kind
        # A matrix stored by diagonals has n_cells + n_genes - 1 of them at most, of n_genes values each.
        n_rows = n_cells + (n_genes if kind == "dia" else 0)
        most = n_rows * n_genes + max(n_cells, n_genes) + 1
        data = read_array(archive, "data", most)
        positions = {
            name: read_integers(archive, name, most)
            for name in ("indices", "indptr", "row", "col", "offsets")
            if f"{name}.npy" in archive.namelist()
        }
    matrix = build(kind, data, positions, (n_cells, n_genes))
    return csr_matrix(matrix)


def check_lengths(shape: tuple[int, int], n_cells: int, n_genes: int) -> None:
    """Raise ScoresError unless a matrix has as many cells and genes as are named."""
    for n, n_names, what in ((shape[0], n_cells, "cells"), (shape[1], n_genes, "genes")):
        if n != n_names:
            raise ScoresError(
                f"The matrix has {n} {what}, but {n_names} are named. Each row must be a cell, and each column a gene, "
                "in the order of their names."
            )
    if not n_cells:
        raise ScoresError("The matrix has no cells.")


def build(kind: str, data: NDArray[Any], positions: dict[str, NDArray[np.integer]], shape: tuple[int, int]) -> Any:
    """A matrix of scipy from its arrays; ValueError or KeyError unless all positions are inside of its shape."""
    if kind in COMPRESSED:
        indices, indptr = positions["indices"], positions["indptr"]
        if not len(data) == len(indices) == indptr[-1]:
            raise ValueError(
                f"it has {len(data)} values and {len(indices)} indices, and its pointers end at {indptr[-1]}"
            )
        matrix = COMPRESSED[kind]((data, indices, indptr), shape=shape)
        matrix.check_format(full_check=True)
        return matrix
    if kind == "coo":
        return coo_matrix((data, (positions["row"], positions["col"])), shape=shape)
    if kind == "dia":
        offsets = positions["offsets"]
        if len(offsets) and not -shape[0] < offsets.min() <= offsets.max() < shape[1]:
            raise ValueError("it has diagonals outside of its shape")
        return dia_matrix((data, offsets), shape=shape)
    raise ValueError(f"scipy knows no format {kind!r}")


def read_integers(archive: ZipFile, name: str, most: int) -> NDArray[np.integer]:
    """An array of integers; errors as for `read_array`."""
    found = read_array(archive, name, most)
    if found.dtype.kind not in "iu":
        raise ValueError(f"its {name} are {found.dtype}, not integers")
    return found


def read_array(archive: ZipFile, name: str, most: int) -> NDArray[Any]:
    """An array of at most so many values; ValueError if it claims more, or if its file has more or less than it."""
    member = f"{name}.npy"
    if member not in archive.namelist():
        raise ValueError(f"it has no array {name!r}")
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"its {name} are not plain numbers")
        shape, _, dtype = HEADERS[version](file)
    if math.prod(shape) > most or dtype.itemsize > MOST_BYTES:
        raise ValueError(f"its {name} claim {math.prod(shape):,} values of {dtype}, more than its shape has")
    with archive.open(member) as file:
        found = npy.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError(f"its {name} have more values than they claim")
    return found
