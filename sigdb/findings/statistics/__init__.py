"""Tests and effect sizes for groups of units, with scipy and statsmodels.

A function that ends in `_columns` treats every column of a matrix, such as one per gene. Differences are group minus
reference. What cannot be computed is NaN there, and None in an `Effect`.
"""

from sigdb.findings.statistics.effects import Effect, effect_of
from sigdb.findings.statistics.model import Fit, fit_groups
from sigdb.findings.statistics.studies import adjust_families, benjamini_hochberg, combine
from sigdb.findings.statistics.two_groups import independent_columns, paired_columns, rank_test

__all__ = [
    "Effect",
    "Fit",
    "adjust_families",
    "benjamini_hochberg",
    "combine",
    "effect_of",
    "fit_groups",
    "independent_columns",
    "paired_columns",
    "rank_test",
]
