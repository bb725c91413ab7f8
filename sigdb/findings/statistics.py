"""Tests and effect sizes for two groups of units, and their combination across studies, with scipy and statsmodels.

Differences are group minus reference. An effect that cannot be computed has a note, and None for its numbers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigdb.errors import needs_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "Effect",
    "adjusted_test",
    "benjamini_hochberg",
    "combine",
    "compare_columns",
    "independent_test",
    "paired_test",
]

LEVEL = 0.95


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
    p_value: float | None = None
    p_rank: float | None = None
    i2: float | None = None
    n_studies: int = 1


def libraries() -> tuple[Any, Any, Any]:
    """scipy.stats, statsmodels.api and statsmodels' meta-analysis; MissingDependencyError if one is not installed."""
    with needs_extra("stats"):
        import statsmodels.api as models
        from scipy import stats
        from statsmodels.stats import meta_analysis
    return stats, models, meta_analysis


def g_interval(g: float, variance: float, free: float) -> dict[str, Any]:
    """Hedges' g and its interval, by t with the test's degrees of freedom: wide for few units."""
    stats, _, _ = libraries()
    low, high = stats.t.interval(LEVEL, free, g, np.sqrt(variance))
    return {"hedges_g": float(g), "g_se": float(np.sqrt(variance)), "g_low": float(low), "g_high": float(high)}


def unpaired_g(group: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[Any, Any]:
    """Hedges' g and its variance over the first axis, as Hedges and Olkin give them (statsmodels)."""
    _, _, meta = libraries()
    sizes = [size for each in (group, reference) for size in (each.mean(axis=0), each.std(axis=0, ddof=1), len(each))]
    g, variance = meta.effectsize_smd(*sizes)
    return g, variance


def paired_g(group: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[Any, Any]:
    """Hedges' g of pairs and its variance over the first axis.

    The mean difference is divided by the standard deviation within a group, as for unpaired studies, so that paired and
    unpaired studies can be combined (Borenstein et al. 2009, Introduction to meta-analysis, eq. 4.26 to 4.31).
    """
    n, differences = len(group), group - reference
    within = np.sqrt((group.var(axis=0, ddof=1) + reference.var(axis=0, ddof=1)) / 2)
    # S_difference^2 = 2 (1 - r) S_within^2 defines r for unequal deviations as well.
    unexplained = differences.var(axis=0, ddof=1) / within**2
    d = differences.mean(axis=0) / within
    correction = 1 - 3 / (4 * (n - 1) - 1)
    return correction * d, correction**2 * (1 / n + d**2 / (2 * n)) * unexplained


def independent_test(group: NDArray[np.float64], reference: NDArray[np.float64]) -> Effect:
    """Welch's t test and the Mann-Whitney U test."""
    stats, _, _ = libraries()
    test = "Welch t"
    if np.ptp(group) == 0 and np.ptp(reference) == 0:
        return Effect(test, "the scores do not vary", difference=float(group.mean() - reference.mean()))
    found = stats.ttest_ind(group, reference, equal_var=False)
    low, high = found.confidence_interval(LEVEL)
    difference = float(group.mean() - reference.mean())
    error = np.sqrt(group.var(ddof=1) / len(group) + reference.var(ddof=1) / len(reference))
    interval = g_interval(*unpaired_g(group, reference), len(group) + len(reference) - 2)
    return Effect(
        test,
        difference=difference,
        difference_se=float(error),
        difference_low=float(low),
        difference_high=float(high),
        p_value=float(found.pvalue),
        p_rank=float(stats.mannwhitneyu(group, reference).pvalue),
        **interval,
    )


def paired_test(group: NDArray[np.float64], reference: NDArray[np.float64]) -> Effect:
    """Student's t test of the differences within pairs, and Wilcoxon's signed-rank test."""
    stats, _, _ = libraries()
    test, n, differences = "paired t", len(group), group - reference
    if np.ptp(differences) == 0:
        return Effect(test, "the differences do not vary", difference=float(differences.mean()))
    found = stats.ttest_rel(group, reference)
    low, high = found.confidence_interval(LEVEL)
    return Effect(
        test,
        difference=float(differences.mean()),
        difference_se=float(differences.std(ddof=1) / np.sqrt(n)),
        difference_low=float(low),
        difference_high=float(high),
        p_value=float(found.pvalue),
        p_rank=float(stats.wilcoxon(differences).pvalue),
        **g_interval(*paired_g(group, reference), n - 1),
    )


def adjusted_test(scores: NDArray[np.float64], in_group: NDArray[np.bool_], covariates: NDArray[np.float64]) -> Effect:
    """A linear model of the scores on the group and covariates (n, k).

    Standard errors are HC3, which allow for unequal variances as Welch's test does. g is the adjusted difference
    divided by the residual standard deviation.
    """
    _, models, _ = libraries()
    test = "linear model, HC3"
    design = np.column_stack([np.ones(len(scores)), in_group, covariates])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return Effect(test, "the covariates cannot be told apart from the groups")
    if len(scores) - design.shape[1] < 2:
        return Effect(test, "too few units for so many covariates")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a covariate fits a unit exactly: reported below
        found = models.OLS(scores, design).fit(cov_type="HC3", use_t=True)
    if not np.isfinite(found.bse[1]) or found.mse_resid <= 0:
        return Effect(test, "a covariate fits some units exactly")
    low, high = found.conf_int(1 - LEVEL)[1]
    deviation, free = np.sqrt(found.mse_resid), found.df_resid
    correction = 1 - 3 / (4 * free - 1)
    d = found.params[1] / deviation
    variance = correction**2 * ((found.bse[1] / deviation) ** 2 + d**2 / (2 * free))
    return Effect(
        test,
        difference=float(found.params[1]),
        difference_se=float(found.bse[1]),
        difference_low=float(low),
        difference_high=float(high),
        p_value=float(found.pvalues[1]),
        **g_interval(correction * d, variance, free),
    )


def combine(effects: Sequence[Effect]) -> Effect:
    """Random-effects meta-analysis of two or more studies, of g (which gives p) and of the mean difference.

    The between-study variance is that of Paule and Mandel. Intervals and p use Hartung and Knapp's t, and are never
    narrower than with the plain random-effects error (Rover et al. 2015). With few studies they are wide.
    """
    stats, _, _ = libraries()
    g, g_error, i2 = pool_effects([e.hedges_g for e in effects], [e.g_se for e in effects])
    difference, error, _ = pool_effects([e.difference for e in effects], [e.difference_se for e in effects])
    free = len(effects) - 1
    width = stats.t.ppf((1 + LEVEL) / 2, free)
    return Effect(
        "random effects",
        difference=difference,
        difference_se=error,
        difference_low=difference - width * error,
        difference_high=difference + width * error,
        hedges_g=g,
        g_se=g_error,
        g_low=float(g - width * g_error),
        g_high=float(g + width * g_error),
        p_value=float(2 * stats.t.sf(abs(g / g_error), free)),
        i2=i2,
        n_studies=len(effects),
    )


def pool_effects(effects: Sequence[float | None], errors: Sequence[float | None]) -> tuple[float, float, float]:
    """The combined effect, its standard error, and I2, the part of the variance that is between studies (0 to 1)."""
    _, _, meta = libraries()
    found = meta.combine_effects(np.array(effects, float), np.array(errors, float) ** 2, method_re="iterated")
    error = max(found.sd_eff_w_re, found.sd_eff_w_re_hksj)
    return float(found.mean_effect_re), float(error), float(max(0.0, found.i2))


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values over all that are numbers; None and NaN become None."""
    libraries()
    from statsmodels.stats.multitest import multipletests

    there = [p for p in p_values if p is not None and p == p]
    found = iter(multipletests(there, method="fdr_bh")[1].tolist() if there else [])
    return [None if p is None or p != p else next(found) for p in p_values]


def compare_columns(group: NDArray[np.float64], reference: NDArray[np.float64], *, paired: bool) -> dict[str, Any]:
    """Welch's t test, or a paired t test, of each column of two matrices (n_units, n_genes): arrays (n_genes,) by name.

    For a gene that does not vary, all but the means and their difference are NaN.
    """
    stats, _, _ = libraries()
    ranges = np.ptp(group - reference, axis=0) if paired else np.ptp(group, axis=0) + np.ptp(reference, axis=0)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # genes that do not vary: they get no p below
        found = stats.ttest_rel(group, reference) if paired else stats.ttest_ind(group, reference, equal_var=False)
        interval = found.confidence_interval(LEVEL)
        g, variance = (paired_g if paired else unpaired_g)(group, reference)
    means = {"mean_group": group.mean(axis=0), "mean_reference": reference.mean(axis=0)}
    if paired:
        error = (group - reference).std(axis=0, ddof=1) / np.sqrt(len(group))
    else:
        error = np.sqrt(group.var(axis=0, ddof=1) / len(group) + reference.var(axis=0, ddof=1) / len(reference))
    computed = {
        "difference_se": error,
        "difference_low": interval.low,
        "difference_high": interval.high,
        "hedges_g": g,
        "g_se": np.sqrt(variance),
        "p_value": found.pvalue,
    }
    return {
        **means,
        "difference": means["mean_group"] - means["mean_reference"],
        **{name: np.where(ranges > 0, values, np.nan) for name, values in computed.items()},
    }
