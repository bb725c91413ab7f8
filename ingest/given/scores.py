"""The scores of a study that were computed elsewhere, and the checks that they must pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, diags

from sigdb.errors import GeneSpaceError, ObsError, ScoresError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["GivenScores", "check_genes", "check_scores", "nans", "scale_scores"]

# How far the sum of a cell may be from the target sum, as a share of it. `sigdb.atlas.verify` allows as much.
TOLERANCE = 0.001
# Columns of obs that are counts of a cell. n_expressed: genes of the model with counts. n_read: how many of these the
# model read.
DEPTH = ("n_counts", "n_genes", "n_expressed", "n_read")


@dataclass(frozen=True)
class GivenScores:
    """The scores of a study's cells.

    obs: the metadata, indexed by barcode. Its columns of the names in DEPTH, if any, are counts of the cells.
    genes: (n_genes,), the names of the columns. rows: a function of (start, stop) that returns the scores of these
    cells, (n, n_genes), without duplicate entries. origin: what the scores were read from, in words. version: changes
    if the scores or the metadata change. n_chunk: cells to read at a time. n_threads: threads that check and write
    chunks while the next cells are read.
    """

    obs: pd.DataFrame
    genes: Sequence[str]
    rows: Callable[[int, int], csr_matrix]
    origin: str
    version: Sequence[object]
    n_chunk: int
    n_threads: int = 1

    def split_obs(self) -> tuple[pd.DataFrame, dict[str, NDArray[np.float64]]]:
        """Split obs into its other columns and the four of DEPTH: (n_cells,), NaN if unknown."""
        obs = self.obs.copy(deep=False)
        depth = {name: read_depth(obs.pop(name), name) if name in obs else nans(len(obs)) for name in DEPTH}
        check_read(depth["n_expressed"], depth["n_read"])
        return obs, depth


def check_genes(genes: Sequence[str], measured: Sequence[str] | None) -> None:
    """Raise GeneSpaceError if a list of genes has empty or repeated names, or lacks a gene that was measured."""
    names = pd.Index(genes)
    if blank := sum(not name.strip() for name in genes):
        raise GeneSpaceError(f"{blank} of {len(genes)} names of genes are empty.")
    if names.has_duplicates:
        repeated = names[names.duplicated()].unique()
        raise GeneSpaceError(
            f"{len(repeated)} of {len(genes)} genes occur more than once: {listed(repeated, 5)}. Add up their scores, "
            "or give them different names."
        )
    if measured is not None and (missing := [name for name in measured if name not in names]):
        raise GeneSpaceError(f"{len(missing)} of {len(measured)} measured genes have no column: {listed(missing, 5)}.")


def nans(n: int) -> NDArray[np.float64]:
    """Unknown numbers."""
    return np.full(n, np.nan)


def read_depth(values: pd.Series[float], name: str) -> NDArray[np.float64]:
    """Read a column of counts, NaN if unknown; ObsError if it holds anything else."""
    try:
        counts: NDArray[np.float64] = pd.to_numeric(values).to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ObsError(f"obs column {name!r} must hold numbers: {error}. Rename it if it is something else.") from error
    n_wrong = int((counts < 0).sum() + np.isinf(counts).sum() + (name != "n_counts") * (counts % 1 > 0).sum())
    if n_wrong:
        raise ObsError(
            f"obs column {name!r} must hold counts; {n_wrong} of {len(counts)} values are something else. Rename it."
        )
    return counts


def check_read(n_expressed: NDArray[np.float64], n_read: NDArray[np.float64]) -> None:
    """Raise ObsError unless each cell has both numbers or neither, and at most as many genes read as expressed."""
    if n_wrong := int(((np.isnan(n_expressed) != np.isnan(n_read)) | (n_read > n_expressed)).sum()):
        raise ObsError(
            "The obs columns 'n_expressed' and 'n_read' must hold how many genes of the model a cell expresses, and "
            f"how many of these the model read; {n_wrong} of {len(n_read)} cells have only one of the numbers, or more "
            "genes read than expressed. Correct the columns, or rename them if they are something else."
        )


def check_scores(given: csr_matrix, start: int, genes: Sequence[str], is_measured: NDArray[np.bool_]) -> csr_matrix:
    """Return scores as they are stored: float32, without zeros.

    Raises ScoresError if a score is not finite, or belongs to a gene that was not measured. start: the first cell.
    """
    with np.errstate(over="ignore"):
        scores = csr_matrix(given, dtype=np.float32)
    scores.eliminate_zeros()
    if n_wrong := int((~np.isfinite(scores.data)).sum()):
        n_nan = int(np.isnan(scores.data).sum())
        raise ScoresError(
            f"{n_nan} scores are NaN and {n_wrong - n_nan} are infinite, or too large, of {scores.nnz} scores in the "
            f"cells {start} to {start + scores.shape[0] - 1}. Nothing of the study was stored."
        )
    if unmeasured := np.unique(scores.indices[~is_measured[scores.indices]]).tolist():
        raise ScoresError(
            f"{len(unmeasured)} genes have scores, but `measured` does not name them: "
            f"{listed([genes[gene] for gene in unmeasured], 5)}."
        )
    return scores


def scale_scores(
    scores: csr_matrix, start: int, target_sum: float, *, rescale: bool
) -> tuple[csr_matrix, NDArray[np.float64]]:
    """Scale scores to the target sum, if that is allowed; return them, and the factor that restores each cell.

    The factor is NaN for a cell without scores. Raises ScoresError if scores have another sum, and must not be
    rescaled.
    """
    sums = np.asarray(abs(scores).sum(axis=1, dtype=np.float64)).ravel()
    scale = np.where(sums > 0, sums / target_sum, np.nan)
    if rescale:
        rescaled = csr_matrix(diags(np.nan_to_num(1 / scale)) @ scores, dtype=np.float32)
        rescaled.eliminate_zeros()
        return rescaled, scale
    if n_wrong := int((np.abs(scale - 1) > TOLERANCE).sum()):
        raise ScoresError(describe_sums(sums, n_wrong, start, target_sum))
    return scores, np.where(sums > 0, 1.0, np.nan)


def describe_sums(sums: NDArray[np.float64], n_wrong: int, start: int, target_sum: float) -> str:
    """Say how many cells have another sum than the target, what their sums are, and what to do."""
    some = sums[sums > 0]
    advice = "`rescale=True` rescales each cell to this sum"
    if some.max() / some.min() < 1 + TOLERANCE:
        advice = f"If this is the sum they should have, say `target_sum={some.mean():.6g}`; {advice}"
    return (
        f"The absolute scores of {n_wrong} of {len(some)} cells (among the cells {start} to {start + len(sums) - 1}) "
        f"do not add up to {target_sum:g}: they add up to {some.min():.6g} to {some.max():.6g}. {advice}."
    )
