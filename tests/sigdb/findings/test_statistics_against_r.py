"""Models, effect sizes and meta-analyses, against R packages. `make r-fixtures` makes the numbers."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy import optimize, stats

from sigdb.findings.statistics import Effect, combine, fit_groups, independent_columns, paired_columns
from tests.support import ROOT

FOLDER = ROOT / "tests" / "data" / "r"


def read(name):
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


UNITS = [row | {name: float(row[name]) for name in ("group", "score", "age")} for row in read("units.csv")]
ORACLE = {(row["case"], row["name"]): float(row["value"]) for row in read("oracle.csv")}


def case(name):
    return {key: value for (of, key), value in ORACLE.items() if of == name}


def fit(units, *covariates):
    """The model score ~ group + study + covariates, with donors as clusters."""
    studies = sorted({unit["study"] for unit in units})
    others = [[unit["study"] == study for study in studies] + [unit[name] for name in covariates] for unit in units]
    group, donors = [unit["group"] for unit in units], [f"{unit['study']} {unit['donor']}" for unit in units]
    found = fit_groups(np.array([[unit["score"]] for unit in units]), group, np.array(others, float), donors)
    return {name: values[0] for name, values in found.columns.items()}


def degrees_of_freedom(found):
    """From the width of the interval, by bisection of the quantile of t."""
    wide = (found["difference_high"] - found["difference"]) / found["difference_se"]
    return optimize.brentq(lambda free: stats.t.ppf(0.975, free) - wide, 1.01, 1e4, xtol=1e-10)


def firsts(units):
    return list({(unit["study"], unit["donor"]): unit for unit in reversed(units)}.values())


MODELS = {
    "covariate": lambda: fit([unit for unit in UNITS if unit["study"] == "a"], "age"),
    "independent studies": lambda: fit(firsts(UNITS)),
    "repeated donors": lambda: fit(UNITS),
}


@pytest.mark.parametrize(
    ("name", "precision"), [("covariate", 1e-7), ("independent studies", 1e-7), ("repeated donors", 1e-3)]
)
def test_the_model_equals_clubsandwich(name, precision):
    """CR2 errors and Satterthwaite's degrees of freedom, of least squares and of nlme's gls with the same correlation.

    Donors with two units have several square roots of their covariance. The packages take different ones.
    """
    found, expected = MODELS[name](), case(name)
    assert found["difference"] == pytest.approx(expected["difference"], rel=1e-7)
    assert found["difference_se"] == pytest.approx(expected["difference_se"], rel=precision)
    assert degrees_of_freedom(found) == pytest.approx(expected["df"], rel=max(precision, 1e-5))


def test_the_model_is_near_a_mixed_model():
    """lme4 estimates the correlation of a donor's units by likelihood, and trusts it."""
    found, expected = fit(UNITS), case("mixed model")
    assert found["difference"] == pytest.approx(expected["difference"], abs=0.5 * expected["difference_se"])
    assert found["difference_se"] == pytest.approx(expected["difference_se"], rel=0.2)


def test_the_meta_analysis_equals_metafor():
    sizes = zip([0.9, 0.1, 1.6, 0.4, 1.1], [0.35, 0.3, 0.5, 0.25, 0.4], strict=True)
    found = combine([Effect("", hedges_g=g, g_se=se, difference=g, difference_se=se) for g, se in sizes])
    expected = case("meta-analysis")
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("study", "columns"), [("a", independent_columns), ("c", paired_columns)])
def test_the_standardised_difference_equals_metafor(study, columns):
    sides = [
        np.array([[unit["score"]] for unit in UNITS if (unit["study"], unit["group"]) == (study, group)])
        for group in (1, 0)
    ]
    g = columns(*sides)["hedges_g"][0]
    (v, c), (_, w) = (
        np.cov(*(side.ravel() for side in sides))
        if columns is paired_columns
        else np.diag([side.var(ddof=1) for side in sides])
    )
    free = (v + w) ** 2 / (v**2 / (len(sides[0]) - 1) + w**2 / (len(sides[1]) - 1))
    if columns is paired_columns:
        free = 2 * (len(sides[0]) - 1) / (1 + (c / ((v + w) / 2)) ** 2)
    assert g == pytest.approx((1 - 3 / (4 * free - 1)) * case(f"standardised difference of {study}")["d"], rel=1e-7)
