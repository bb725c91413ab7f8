"""Tell raw counts from other numbers, and check that a matrix fits its cells and genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sigdb.errors import CountsError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


__all__ = ["check_integers", "check_not_empty", "check_shape", "find_problem", "to_counts"]

# Computations use float32, which holds all whole numbers up to this one.
MOST = 2**24


def check_not_empty(path: Path, n: int, what: str) -> None:
    """Raise CountsError if a file has no cells, or no genes."""
    if not n:
        raise CountsError(f"{path} has no {what}.")


def check_shape(path: Path, matrix: str, shape: tuple[int, int], n_cells: int, n_genes: int) -> None:
    """Raise CountsError if a matrix does not have as many cells and genes as the file describes."""
    check_not_empty(path, n_genes, "genes")
    if shape != (n_cells, n_genes):
        raise CountsError(
            f"{path}: {matrix} has {shape[0]} cells and {shape[1]} genes, but the file describes {n_cells} cells and "
            f"{n_genes} genes."
        )


def check_integers(values: NDArray[np.integer], what: str) -> None:
    """Raise ValueError if positions in a matrix are not of an integer type, which numpy would cut off."""
    if values.dtype.kind not in "iu":
        raise ValueError(f"its {what} are {values.dtype}, not integers")


def to_counts(values: NDArray[np.number], path: Path, counts_from: str, where: str = "") -> NDArray[np.float32]:
    """Values as float32; CountsError if they are not raw counts. where: which values, for the message."""
    if problem := find_problem(values):
        raise CountsError(
            f"{path}, {counts_from}: {problem}{where}. If another matrix holds the raw counts, name it with `layer`."
        )
    return values.astype(np.float32)


def find_problem(values: NDArray[np.number]) -> str | None:
    """Why values are not raw counts, or None. Counts are finite, whole, and 0 or more."""
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
