"""A linear model of units that belong to donors, for covariates, repeated donors and several studies.

score ~ group + others. Two units of one donor are correlated. Standard errors are cluster-robust with the correction
CR2 and Satterthwaite's degrees of freedom (Bell and McCaffrey 2002; Pustejovsky and Tipton 2018). If no donor repeats,
they are the HC2 errors, and allow for unequal variances as Welch's test does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sigdb.findings.statistics.effects import describe_difference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Fit", "fit_groups"]

# Beyond this leverage, a unit is fitted exactly, and its residual is rounding error.
FITTED = 1 - 1e-8
# Residuals that are smaller than this part of the scores are rounding errors.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Fit:
    """The difference between the groups in each column, by name as in `describe_difference`; None with a note why."""

    columns: dict[str, NDArray[np.float64]] | None
    note: str | None = None


def fit_groups(
    scores: NDArray[np.float64], in_group: ArrayLike, others: NDArray[np.float64], donors: ArrayLike | None = None
) -> Fit:
    """Fit scores (n_units, n_columns) on the group (n_units,) and on other columns (n_units, k), one of them constant.

    Units of one donor (n_units,) form a cluster. None: every unit is a donor of its own. A unit that the other columns
    fit exactly says nothing about the groups; it is left out, with a note.
    """
    design = np.column_stack([np.asarray(in_group, float), others])
    used = leverages(design) < FITTED
    note = None
    if alone := int((~used).sum()):
        note = f"units that a covariate fits exactly do not count: {alone}"
    rank = int(np.linalg.matrix_rank(design)) - alone
    if rank == np.linalg.matrix_rank(design[used, 1:]):
        return Fit(None, "the covariates cannot be told apart from the groups")
    free = int(used.sum()) - rank
    if free < 2:
        return Fit(None, "too few units for so many covariates")
    design, scores = design[used], scores[used]
    names = np.arange(len(used)) if donors is None else np.asarray(donors)
    clusters = np.unique(names[used], return_inverse=True)[1]
    residuals = scores - design @ (np.linalg.pinv(design) @ scores)
    deviation = np.sqrt((residuals**2).sum(axis=0) / free)
    deviation[np.ptp(residuals, axis=0) <= ROUNDING * np.abs(scores).max(axis=0)] = np.nan
    if len(set(clusters)) < len(clusters):
        shrink = shrinkage(residuals, clusters, free)
        design, scores = (each - shrink[clusters, None] * cluster_means(each, clusters) for each in (design, scores))
    difference, error, error_free = robust_difference(design, scores, clusters)
    error = np.where(np.isnan(deviation), np.nan, error)
    return Fit(describe_difference(difference, error, error_free, deviation, free), note)


def leverages(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """The leverage of each unit, from 0 to 1."""
    return np.asarray((column_space(design) ** 2).sum(axis=1))


def column_space(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of the columns of a design, (n_units, rank)."""
    left, singular, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(left[:, singular > singular[0] * max(design.shape) * np.finfo(float).eps])


def cluster_means(values: NDArray[np.float64], clusters: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each cluster, at each of its units, (n_units, n_columns)."""
    sums = np.zeros((clusters.max() + 1, values.shape[1]))
    np.add.at(sums, clusters, values)
    return np.asarray((sums / np.bincount(clusters)[:, None])[clusters])


def shrinkage(residuals: NDArray[np.float64], clusters: NDArray[np.int64], free: int) -> NDArray[np.float64]:
    """The part of a cluster's mean to subtract, (n_clusters,), which makes units of one correlation independent.

    The correlation between units of a donor is estimated once for all columns, as limma's duplicateCorrelation does.
    The standard errors are right whatever it is; it only makes the estimate more precise.
    """
    scaled = residuals / np.sqrt(np.maximum((residuals**2).sum(axis=0) / free, np.finfo(float).tiny))
    sizes = np.bincount(clusters)
    squares = (scaled**2).sum()
    products = (cluster_means(scaled, clusters) ** 2 * sizes[clusters, None]).sum() - squares
    correlation = np.clip(products / ((sizes * (sizes - 1)).sum() * scaled.shape[1]), 0, 0.99)
    return np.asarray(1 - np.sqrt((1 - correlation) / (1 + (sizes - 1) * correlation)))


def robust_difference(
    design: NDArray[np.float64], scores: NDArray[np.float64], clusters: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The first coefficient of each column (n_columns,), its CR2 standard error, and their degrees of freedom."""
    inverse, basis = np.linalg.pinv(design), column_space(design)
    coefficients = inverse @ scores
    residuals = scores - design @ coefficients
    weights = inverse[0] / np.sqrt(np.maximum(1 - (basis**2).sum(axis=1), 1 - FITTED))
    repeated = np.flatnonzero(np.bincount(clusters) > 1)
    for cluster in repeated:
        units = clusters == cluster
        values, vectors = np.linalg.eigh(np.eye(units.sum()) - basis[units] @ basis[units].T)
        roots = np.where(values > 1 - FITTED, 1 / np.sqrt(np.maximum(values, 1 - FITTED)), 0)
        weights[units] = vectors @ (roots * (vectors.T @ inverse[0, units]))
    n_clusters = clusters.max() + 1
    sums, shares = np.zeros((n_clusters, scores.shape[1])), np.zeros((n_clusters, basis.shape[1]))
    np.add.at(sums, clusters, weights[:, None] * residuals)
    np.add.at(shares, clusters, weights[:, None] * basis)
    squares = np.bincount(clusters, weights**2)
    # The covariance of the sums is diag(squares) - shares @ shares.T, for independent scores of one variance.
    lengths = (shares**2).sum(axis=1)
    spread = (squares**2).sum() - 2 * (squares * lengths).sum() + ((shares.T @ shares) ** 2).sum()
    return coefficients[0], np.sqrt((sums**2).sum(axis=0)), float((squares - lengths).sum() ** 2 / spread)
