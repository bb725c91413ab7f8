"""The meta-analysis of several studies, and the adjustment of p values for many tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigdb.errors import needs_extra
from sigdb.findings.statistics.effects import LEVEL, Effect, scipy_modules

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["RANDOM_EFFECTS", "adjust_families", "benjamini_hochberg", "combine"]

RANDOM_EFFECTS = "random effects"
# With fewer studies, the variance between studies is a guess, and a prediction interval says nothing.
FEWEST_FOR_PREDICTION = 4


def combine(effects: Sequence[Effect]) -> Effect:
    """Random-effects meta-analysis of two or more studies, of g (which gives p) and of the mean difference.

    The between-study variance is that of Paule and Mandel. Intervals and p use Hartung and Knapp's t, and are never
    narrower than with the plain random-effects error (Rover et al. 2015). With few studies they are wide. From four
    studies on, the prediction interval says where g of a further study is expected (Higgins et al. 2009).
    """
    _, stats = scipy_modules()
    g, g_error, tau2, i2 = pool_effects([e.hedges_g for e in effects], [e.g_se for e in effects])
    difference, error, _, _ = pool_effects([e.difference for e in effects], [e.difference_se for e in effects])
    free = len(effects) - 1
    width = stats.t.ppf((1 + LEVEL) / 2, free)
    spread = None
    if len(effects) >= FEWEST_FOR_PREDICTION:
        spread = stats.t.ppf((1 + LEVEL) / 2, free - 1) * np.sqrt(tau2 + g_error**2)
    return Effect(
        RANDOM_EFFECTS,
        difference=difference,
        difference_se=error,
        difference_low=difference - width * error,
        difference_high=difference + width * error,
        hedges_g=g,
        g_se=g_error,
        g_low=float(g - width * g_error),
        g_high=float(g + width * g_error),
        prediction_low=None if spread is None else float(g - spread),
        prediction_high=None if spread is None else float(g + spread),
        p_value=float(2 * stats.t.sf(abs(g / g_error), free)),
        i2=i2,
        n_studies=len(effects),
    )


def pool_effects(effects: Sequence[float | None], errors: Sequence[float | None]) -> tuple[float, float, float, float]:
    """The combined effect, its standard error, the variance between studies, and I2, their part of the variance."""
    with needs_extra("stats"):
        import statsmodels.stats.meta_analysis as meta_analysis
    # Studies with the same effect have no spread, by which statsmodels divides: I2 is then 0.
    with np.errstate(divide="ignore"):
        found = meta_analysis.combine_effects(
            np.array(effects, float), np.array(errors, float) ** 2, method_re="iterated"
        )
    error = max(found.sd_eff_w_re, found.sd_eff_w_re_hksj)
    return float(found.mean_effect_re), float(error), float(found.tau2), float(max(0.0, found.i2))


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values over all that are numbers; None and NaN become None.

    scipy.stats has this too. Importing it takes as long as many a query.
    """
    p = np.array(p_values, float)  # None becomes NaN, which comes last in the order
    falling = np.argsort(-p)[: np.isfinite(p).sum()]
    adjusted = np.full(len(p), np.nan)
    adjusted[falling] = np.minimum.accumulate(p[falling] * len(falling) / np.arange(len(falling), 0, -1))
    return [None if np.isnan(q) else q for q in adjusted.tolist()]


def adjust_families(p_values: Sequence[float | None], families: Sequence[Hashable]) -> list[float | None]:
    """Adjust the p values of each family by themselves."""
    adjusted: dict[int, Any] = {}
    for family in dict.fromkeys(families):
        places = [place for place, each in enumerate(families) if each == family]
        adjusted |= zip(places, benjamini_hochberg([p_values[place] for place in places]), strict=True)
    return [adjusted[place] for place in range(len(families))]
