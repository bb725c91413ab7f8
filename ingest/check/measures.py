"""The measures of a check: rows of a table, some of which must hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import wilcoxon

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALPHA", "Measure", "at_least", "at_most", "better", "median"]

# The largest p at which one of two things counts as better over the cells of the sample.
ALPHA = 0.01


@dataclass(frozen=True)
class Measure:
    """One number of a check.

    test, measure: what is tested, and what was measured. value: the median over cells, unless `measure` says
    otherwise. needs: what must hold of it; None if the number is for information. holds: whether it does; None if it
    needs nothing or if the cells do not decide.
    """

    test: str
    measure: str
    value: float | None
    needs: str | None = None
    holds: bool | None = None


def median(test: str, measure: str, values: NDArray[np.floating]) -> Measure:
    """The median over the cells in which it is defined, for information."""
    return Measure(test, measure, finite_median(values))


def at_least(test: str, measure: str, values: NDArray[np.floating], limit: float) -> Measure:
    """A median that must not be below a limit."""
    value = finite_median(values)
    return Measure(test, measure, value, f"{limit:g} or more", None if value is None else value >= limit)


def at_most(test: str, measure: str, values: NDArray[np.floating], limit: float) -> Measure:
    """A median that must not be above a limit."""
    value = finite_median(values)
    return Measure(test, measure, value, f"{limit:g} or less", None if value is None else value <= limit)


def better(test: str, than: str, gain: NDArray[np.floating]) -> Measure:
    """The share of cells with a gain above 0. Wilcoxon's signed-rank test over the cells must find a gain."""
    gain = gain[np.isfinite(gain)]
    holds = bool(gain.any()) and float(wilcoxon(gain, alternative="greater").pvalue) < ALPHA
    share = float((gain > 0).mean()) if len(gain) else 0.0
    return Measure(test, f"cells in which it is better than {than}", share, f"a gain, p < {ALPHA:g}", holds)


def finite_median(values: NDArray[np.floating]) -> float | None:
    """The median of the finite values; None if there are none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None
