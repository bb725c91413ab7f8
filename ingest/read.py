"""Read AnnData files (.h5ad) chunk by chunk: only metadata are held in memory, never the matrix."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
from scipy.sparse import csr_matrix

from sigdb.errors import CountsError, SigdbError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import pandas as pd

__all__ = ["CountsFile", "open_h5ad"]

# Enough values to tell raw counts from anything that was computed from them.
PROBE = 100_000


@dataclass(frozen=True)
class CountsFile:
    """An open .h5ad: metadata, and the matrix that holds its raw counts.

    counts_from: where the counts are, `layers/counts`, `raw/X` or `X`. var_names: of that matrix's columns.
    """

    path: Path
    obs: pd.DataFrame
    var_names: tuple[str, ...]
    counts_from: str
    matrix: h5py.Dataset | h5py.Group

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.obs)

    @property
    def layer(self) -> str:
        """The matrix, as `open_h5ad` takes its name."""
        return {"raw/X": "raw"}.get(self.counts_from, self.counts_from.removeprefix("layers/"))

    @property
    def obsm(self) -> Mapping[str, Any]:
        """The embeddings of the cells, as they are in the file."""
        found: Mapping[str, Any] = self.matrix.file.get("obsm", {})
        return found

    def rows(self, start: int, stop: int) -> csr_matrix:
        """The counts of cells start to stop, (n, n_var) float32; CountsError where they are not counts."""
        with broken_file(self.path):
            counts = read_rows(self.matrix, start, min(stop, self.n_cells))
        if problem := not_counts(counts.data):
            raise CountsError(
                f"{self.path}, {self.counts_from}: {problem} in cells {start} to {start + counts.shape[0] - 1}. "
                "If the raw counts are in another matrix, name it with --layer."
            )
        return counts

    def chunks(self, size: int) -> Iterator[csr_matrix]:
        """Yield the counts of `size` cells at a time."""
        for start in range(0, self.n_cells, size):
            yield self.rows(start, start + size)


@contextmanager
def open_h5ad(path: str | os.PathLike[str], *, layer: str | None = None) -> Iterator[CountsFile]:
    """Open an .h5ad file and find its raw counts.

    layer: the matrix that holds them, a name in `layers`, or `X` or `raw`. By default the first of layers['counts'],
    raw and X that holds counts. Raises CountsError with what was seen in each, if none does.
    """
    path = Path(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise CountsError(f"{path} cannot be read as an .h5ad (HDF5) file: {error}") from error
    with file:
        with broken_file(path):
            counts = inspect(file, path, layer)
        yield counts


def inspect(file: h5py.File, path: Path, layer: str | None) -> CountsFile:
    """Read the metadata of an open file, and find its counts."""
    if missing := [key for key in ("obs", "var") if key not in file]:
        raise CountsError(f"{path} is an HDF5 file, but not AnnData: it has no {listed(missing)}.")
    obs = anndata.io.read_elem(file["obs"])
    if len(obs) == 0:
        raise CountsError(f"{path} has no cells.")
    place = choose_matrix(file, path, layer)
    var = anndata.io.read_elem(file["raw/var" if place == "raw/X" else "var"])
    matrix = file[place]
    shape = tuple(map(int, matrix.attrs["shape"] if isinstance(matrix, h5py.Group) else matrix.shape))
    if shape != (len(obs), len(var)):
        raise CountsError(
            f"{path}: {place} is {shape}, but there are {len(obs)} cells in obs and {len(var)} genes in var."
        )
    return CountsFile(path, obs, tuple(map(str, var.index)), place, matrix)


@contextmanager
def broken_file(path: Path) -> Iterator[None]:
    """Turn what goes wrong inside h5py, anndata and scipy on a damaged file into a CountsError."""
    try:
        yield
    except SigdbError:
        raise
    except (AttributeError, IndexError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CountsError(f"{path} is damaged, or not an .h5ad file as anndata writes them: {reason}") from error


def choose_matrix(file: h5py.File, path: Path, layer: str | None) -> str:
    """The place of the raw counts in the file; CountsError, with what each matrix holds, if there are none."""
    layers = sorted(file.get("layers", {}))
    if layer is not None:
        place = {"X": "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        if place not in file:
            raise CountsError(f"{path} has no matrix {layer!r}. It has: {listed(matrices(file, layers))}.")
        return place
    seen = {}
    for place in ("layers/counts", "raw/X", "X"):
        if place not in file:
            continue
        values = probe(file[place])
        problem = not_counts(values) or (None if values.any() else "nothing but zeros")
        if problem is None:
            return place
        seen[place] = problem
    found = "; ".join(f"{place} holds {problem}" for place, problem in seen.items()) or "it has no matrix"
    raise CountsError(
        f"{path} has no raw counts where they are looked for: {found}. "
        f"Name the matrix that holds them with --layer; there are: {listed(matrices(file, layers)) or 'none'}."
    )


def matrices(file: h5py.File, layers: list[str]) -> list[str]:
    """The names --layer takes for this file."""
    return layers + [name for name, place in (("raw", "raw/X"), ("X", "X")) if place in file]


def probe(matrix: h5py.Dataset | h5py.Group) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The first values of a matrix, without reading the rest."""
    if isinstance(matrix, h5py.Group):
        return np.asarray(matrix["data"][:PROBE], dtype=np.float64)
    rows = max(1, PROBE // max(1, matrix.shape[1]))
    return np.asarray(matrix[:rows], dtype=np.float64).ravel()


def not_counts(values: np.ndarray[tuple[int], np.dtype[np.floating]]) -> str | None:
    """What is wrong with values that should be raw counts, or None. Counts are finite, not negative, and whole."""
    if not np.isfinite(values).all():
        return f"{int((~np.isfinite(values)).sum())} NaN or infinite values"
    if values.size and values.min() < 0:
        return f"negative values, down to {values.min():.3g} (scaled or centred data)"
    n_fractions = int((values % 1 != 0).sum())
    if n_fractions:
        kind = "log-normalised" if values.max() < 20 else "normalised"
        return f"{n_fractions} fractional values of {values.size}, up to {values.max():.3g} (they look {kind})"
    return None


def read_rows(matrix: h5py.Dataset | h5py.Group, start: int, stop: int) -> csr_matrix:
    """Rows start to stop of a matrix on disk, CSR, CSC or dense, as CSR float32: each value once, no zeros stored."""
    on_disk = anndata.io.sparse_dataset(matrix) if isinstance(matrix, h5py.Group) else matrix
    rows = csr_matrix(on_disk[start:stop], dtype=np.float32)
    rows.check_format(full_check=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows
