"""Tests of two groups in one study: Welch's t test, the paired t test, and their rank tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sigdb.findings.statistics.effects import describe_difference, scipy_modules

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEWEST_FOR_G", "independent_columns", "paired_columns", "rank_test"]

# With two units, the standard deviation is hardly known, and the correction of Hedges' g approaches 0.
FEWEST_FOR_G = 3


def independent_columns(group: NDArray[np.float64], reference: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Welch's t test of each column of two matrices (n_units, n_columns).

    Hedges' g is the difference over the root of the mean of both variances (Delacre et al. 2021, g*s), because Welch's
    test does not take the variances for equal.
    """
    variances = group.var(axis=0, ddof=1), reference.var(axis=0, ddof=1)
    parts = variances[0] / len(group), variances[1] / len(reference)
    varies = np.ptp(group, axis=0) + np.ptp(reference, axis=0) > 0
    with np.errstate(all="ignore"):
        error = np.where(varies, np.sqrt(parts[0] + parts[1]), np.nan)
        free = error**4 / (parts[0] ** 2 / (len(group) - 1) + parts[1] ** 2 / (len(reference) - 1))
    return compare_means(group, reference, error, free, average_deviation(group, reference))


def paired_columns(group: NDArray[np.float64], reference: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Student's t test of the differences of pairs, for each column of two matrices (n_pairs, n_columns).

    Hedges' g is the difference over the standard deviation within a group, as for unpaired studies, so that both can
    be combined. Its degrees of freedom are 2 (n - 1) / (1 + r^2), with the correlation r within pairs (Cousineau 2020).
    """
    differences = group - reference
    error = np.where(np.ptp(differences, axis=0) > 0, differences.std(axis=0, ddof=1) / np.sqrt(len(group)), np.nan)
    deviation, _ = average_deviation(group, reference)
    with np.errstate(all="ignore"):
        # The variance of a difference is 2 (1 - r) times that within a group, which defines r for unequal variances.
        r = 1 - differences.var(axis=0, ddof=1) / (2 * deviation**2)
    return compare_means(group, reference, error, len(group) - 1, (deviation, 2 * (len(group) - 1) / (1 + r**2)))


def average_deviation(
    group: NDArray[np.float64], reference: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The root of the mean of both variances, and its degrees of freedom for independent units (Satterthwaite)."""
    one, other = group.var(axis=0, ddof=1), reference.var(axis=0, ddof=1)
    with np.errstate(all="ignore"):
        spread = one**2 / (len(group) - 1) + other**2 / (len(reference) - 1)
        return np.sqrt((one + other) / 2), (one + other) ** 2 / spread


def compare_means(
    group: NDArray[np.float64],
    reference: NDArray[np.float64],
    error: NDArray[np.float64],
    free: NDArray[np.float64] | int,
    deviation: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """The means of both groups and their difference with its test. g is NaN below `FEWEST_FOR_G` units."""
    means = {"mean_group": group.mean(axis=0), "mean_reference": reference.mean(axis=0)}
    if min(len(group), len(reference)) < FEWEST_FOR_G:
        deviation = (np.full(group.shape[1], np.nan), deviation[1])
    difference = means["mean_group"] - means["mean_reference"]
    return means | describe_difference(difference, error, free, *deviation)


def rank_test(group: NDArray[np.float64], reference: NDArray[np.float64], *, paired: bool) -> float:
    """The p value of the Mann-Whitney U test, or of Wilcoxon's signed-rank test for pairs. Values are (n_units,)."""
    _, stats = scipy_modules()
    found = stats.wilcoxon(group - reference) if paired else stats.mannwhitneyu(group, reference)
    return float(found.pvalue)
