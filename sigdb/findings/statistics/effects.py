"""A difference between two groups, as a test and as an effect size that agrees with the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigdb.errors import needs_extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["LEVEL", "Effect", "describe_difference", "effect_of", "scipy_modules"]

LEVEL = 0.95
# scipy's inverse of the noncentral t distribution does not end for very large t. Beyond this t, an approximation is
# right to one part in 500.
LARGEST_T = 50.0


@dataclass(frozen=True)
class Effect:
    """The effect in one comparison: mean difference and Hedges' g, each with its standard error and 95% interval."""

    test: str
    note: str | None = None
    difference: float | None = None
    difference_se: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    hedges_g: float | None = None
    g_se: float | None = None
    g_low: float | None = None
    g_high: float | None = None
    prediction_low: float | None = None
    prediction_high: float | None = None
    p_value: float | None = None
    p_rank: float | None = None
    i2: float | None = None
    n_studies: int = 1


# The numbers that one test gives.
MEASURES = (
    *("difference", "difference_se", "difference_low", "difference_high"),
    *("hedges_g", "g_se", "g_low", "g_high", "p_value"),
)


def scipy_modules() -> tuple[Any, Any]:
    """scipy.special and scipy.stats; MissingDependencyError if scipy is not installed."""
    with needs_extra("stats"):
        from scipy import special, stats
    return special, stats


def describe_difference(
    difference: NDArray[np.float64],
    error: NDArray[np.float64],
    free: ArrayLike,
    deviation: NDArray[np.float64],
    deviation_free: ArrayLike,
) -> dict[str, NDArray[np.float64]]:
    """The test and the effect size of a difference with its standard error, by name. All arrays are (n_columns,).

    `free` and `deviation_free` are the degrees of freedom of the error, and of the standard deviation within a group
    by which Hedges' g divides. The interval of g is that of the noncentral t distribution of the test's statistic, so
    it leaves out 0 exactly if p < 0.05.
    """
    _, stats = scipy_modules()
    side = (1 + LEVEL) / 2
    with np.errstate(all="ignore"):
        t, unit = difference / error, error / deviation
        width = stats.t.ppf(side, free) * error
        g = (1 - 3 / (4 * np.asarray(deviation_free) - 1)) * difference / deviation
        return {
            "difference": difference,
            "difference_se": error,
            "difference_low": difference - width,
            "difference_high": difference + width,
            "hedges_g": g,
            "g_se": np.sqrt(unit**2 + g**2 / (2 * np.asarray(deviation_free))),
            "g_low": noncentrality(t, free, side) * unit,
            "g_high": noncentrality(t, free, 1 - side) * unit,
            "p_value": 2 * stats.t.sf(np.abs(t), free),
        }


def noncentrality(t: NDArray[np.float64], free: ArrayLike, probability: float) -> NDArray[np.float64]:
    """The noncentrality at which a noncentral t is below `t` with this probability: a bound of its interval."""
    special, stats = scipy_modules()
    exact = special.nctdtrinc(free, probability, np.clip(t, -LARGEST_T, LARGEST_T))
    # The normal and the chi part of a noncentral t, in quadrature.
    part = np.sqrt(stats.chi2.ppf(np.where(t > 0, 1 - probability, probability), free) / free)
    away = np.sqrt((t * (1 - part)) ** 2 + stats.norm.ppf(probability) ** 2)
    return np.asarray(np.where(np.abs(t) > LARGEST_T, t + away * np.sign(0.5 - probability), exact))


def effect_of(test: str, columns: Mapping[str, NDArray[np.float64]], note: str | None = None) -> Effect:
    """The effect of the only column; NaN becomes None. Means of the groups are not part of it."""
    numbers: dict[str, Any] = {name: float(columns[name][0]) for name in MEASURES if name in columns}
    numbers = {name: None if np.isnan(value) else value for name, value in numbers.items()}
    return Effect(test, note, **numbers)
