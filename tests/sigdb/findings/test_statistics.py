"""Tests and effect sizes hold what they promise: by simulation, by property, and in the corners."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sigdb.findings.statistics import (
    Effect,
    adjust_families,
    benjamini_hochberg,
    combine,
    effect_of,
    fit_groups,
    independent_columns,
    paired_columns,
)
from sigdb.findings.statistics.effects import noncentrality

MANY = 4000


def pairs(rng, n, r, difference, columns=MANY):
    """Correlated pairs of variance 1, (n, columns) each."""
    shared, own = rng.normal(size=(2, n, columns))
    return difference + shared, r * shared + np.sqrt(1 - r * r) * own


def studies(rng, sizes, difference=0.0, spread=0.0, scale=1.0, columns=MANY):
    """Scores, groups and studies of independent units; each study has its own mean, and its own difference."""
    parts, groups, names = [], [], []
    for number, (n, m) in enumerate(sizes):
        own = difference + spread * rng.normal(size=columns)
        scores = rng.normal(size=(n + m, columns)) * scale
        scores[:n] += own
        parts.append(scores + rng.normal() * 5)
        groups += [1] * n + [0] * m
        names += [number] * (n + m)
    return np.vstack(parts), np.array(groups), np.eye(len(sizes))[names]


def rejected(columns):
    return np.mean(columns["p_value"] < 0.05)


@pytest.mark.parametrize("n", [3, 5, 20])
@pytest.mark.parametrize("r", [0, 0.5, 0.9])
@pytest.mark.parametrize("difference", [0, 1, 2])
def test_g_of_pairs_is_unbiased_and_its_interval_covers_it(n, r, difference):
    found = paired_columns(*pairs(np.random.default_rng(n), n, r, difference))
    covered = np.mean((found["g_low"] <= difference) & (difference <= found["g_high"]))
    assert 0.92 < covered < 0.985
    assert abs(found["hedges_g"].mean() - difference) < 0.15 * difference + 0.04
    assert rejected(found) == pytest.approx(0.05, abs=0.012) or difference


SHAPES = {
    "3 and 3": (3, 3, 1, 1),
    "5 and 5": (5, 5, 1, 1),
    "small and wide": (5, 20, 2, 1),
    "large and wide": (3, 12, 1, 3),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [0, 1, 2])
def test_g_of_independent_units_is_unbiased_and_its_interval_covers_it(shape, size):
    n, m, deviation, other = SHAPES[shape]
    rng, unit = np.random.default_rng(n * m), np.sqrt((deviation**2 + other**2) / 2)
    found = independent_columns(
        size * unit + deviation * rng.normal(size=(n, MANY)), other * rng.normal(size=(m, MANY))
    )
    covered = np.mean((found["g_low"] <= size) & (size <= found["g_high"]))
    assert 0.92 < covered < 0.985
    assert abs(found["hedges_g"].mean() - size) < 0.1 * size + 0.04


values = st.lists(st.integers(-20, 20), min_size=3, max_size=8)


@given(values, values)
def test_the_interval_of_g_agrees_with_the_test(one, other):
    pairable = min(len(one), len(other))
    sides = np.array(one, float)[:, None], np.array(other, float)[:, None]
    for columns in (independent_columns(*sides), paired_columns(*(side[:pairable] for side in sides))):
        found = effect_of("", columns)
        if found.p_value is not None and abs(found.p_value - 0.05) > 1e-6:
            assert (found.g_low > 0 or found.g_high < 0) == (found.p_value < 0.05)
            assert (found.difference_low > 0 or found.difference_high < 0) == (found.p_value < 0.05)
            assert np.sign(found.hedges_g) == np.sign(found.difference)


@pytest.mark.parametrize("free", [1.0, 2.0, 5.0, 200.0])
@pytest.mark.parametrize("t", [-70.0, -3.0, 0.0, 4.0, 49.9, 50.1, 70.0])
@pytest.mark.parametrize("probability", [0.975, 0.025])
def test_the_noncentrality_is_that_of_the_distribution(free, t, probability):
    (found,) = noncentrality(np.array([t]), free, probability)
    assert stats.nct.cdf(t, free, found) == pytest.approx(probability, abs=1e-3)


def test_a_huge_difference_has_an_interval():
    group, reference = np.array([[1e6], [1e6 + 1e-3], [1e6 + 2e-3]]), np.array([[0.0], [1e-3], [2e-3]])
    found = effect_of("", independent_columns(group, reference))
    assert 1e7 < found.g_low < found.hedges_g < found.g_high < 1e10


def test_two_units_have_a_test_and_no_effect_size():
    rng = np.random.default_rng(0)
    for columns in (paired_columns(*pairs(rng, 2, 0.5, 1)), independent_columns(*rng.normal(size=(2, 2, 9)))):
        assert np.isfinite(columns["p_value"]).all()
        for name in ("hedges_g", "g_se", "g_low", "g_high"):
            assert np.isnan(columns[name]).all()


SIZES = {
    "two small studies": [(5, 5), (5, 5)],
    "three tiny studies": [(3, 3), (3, 3), (3, 3)],
    "unequal studies": [(3, 12), (12, 3), (6, 6)],
    "five studies": [(4, 4)] * 5,
}


@pytest.mark.parametrize("name", SIZES)
def test_one_model_keeps_its_error_rate(name):
    scores, group, others = studies(np.random.default_rng(1), SIZES[name])
    assert 0.035 < rejected(fit_groups(scores, group, others).columns) < 0.06
    # Studies of other scales make it cautious.
    scale = np.repeat(10.0 ** np.arange(len(SIZES[name])), [sum(each) for each in SIZES[name]])[:, None]
    assert rejected(fit_groups(scores * scale, group, others).columns) < 0.06


@pytest.mark.parametrize(("n_studies", "most"), [(2, 0), (3, 0.9)])
def test_one_model_sees_what_each_study_sees(n_studies, most):
    """Each of the studies alone rejects nearly always. Random effects of two studies never do, those of three often."""
    scores, group, others = studies(np.random.default_rng(2), [(10, 10)] * n_studies, difference=2.0, columns=300)
    parts = [independent_columns(scores[rows & (group == 1)], scores[rows & (group == 0)]) for rows in others.T > 0]
    assert min(rejected(part) for part in parts) > 0.95
    assert rejected(fit_groups(scores, group, others).columns) == 1
    whole = [
        combine([effect_of("", {k: v[[place]] for k, v in part.items()}) for part in parts]) for place in range(100)
    ]
    assert np.mean([each.p_value < 0.05 for each in whole]) <= most


def test_one_model_is_about_these_studies_and_not_about_studies_in_general():
    rng = np.random.default_rng(3)
    scores, group, others = studies(rng, [(8, 8)] * 3, spread=1.0)
    assert rejected(fit_groups(scores, group, others).columns) > 0.25  # these studies do differ, each in its own way
    balanced = np.array([1.0, 1.0, -2.0])  # and here they do not, on average
    scores = rng.normal(size=scores.shape) + (others @ balanced * group)[:, None]
    assert rejected(fit_groups(scores, group, others).columns) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("n_studies", [2, 3, 5])
def test_random_effects_keep_their_error_rate_over_studies(n_studies):
    scores, group, others = studies(np.random.default_rng(4), [(8, 8)] * n_studies, spread=1.0, columns=1500)
    parts = [independent_columns(scores[rows & (group == 1)], scores[rows & (group == 0)]) for rows in others.T > 0]
    found = [
        combine([effect_of("", {k: v[[place]] for k, v in part.items()}) for part in parts]) for place in range(1500)
    ]
    assert np.mean([each.p_value < 0.05 for each in found]) < 0.065


@pytest.mark.slow
@pytest.mark.parametrize("n_studies", [4, 8])
def test_a_prediction_interval_holds_a_further_study(n_studies):
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(600):
        scores, group, others = studies(rng, [(15, 15)] * n_studies, difference=1.0, spread=0.7, columns=1)
        parts = [independent_columns(scores[rows & (group == 1)], scores[rows & (group == 0)]) for rows in others.T > 0]
        found = combine([effect_of("", part) for part in parts])
        covered.append(found.prediction_low <= 1.0 + 0.7 * rng.normal() <= found.prediction_high)
    assert 0.9 < np.mean(covered) < 0.99


def test_a_prediction_interval_needs_four_studies():
    effects = [Effect("", difference=d, difference_se=1.0, hedges_g=d, g_se=0.3) for d in (0.5, 1.0, 1.5, 0.9)]
    assert combine(effects[:3]).prediction_low is None
    found = combine(effects)
    assert found.prediction_low <= found.g_low < found.g_high <= found.prediction_high


@pytest.mark.parametrize("r", [0.0, 0.9])
def test_one_model_uses_units_without_a_partner(r):
    """Studies of 4 and 5 pairs; the first has 3 more units in each group."""
    rng = np.random.default_rng(6)

    def simulate(difference):
        both = [pairs(rng, n, r, difference) for n in (4, 5)]
        alone = rng.normal(size=(6, MANY)) + np.array([difference] * 3 + [0] * 3)[:, None]
        scores = np.vstack([*both[0], alone, *both[1]])
        group = np.array([1] * 4 + [0] * 4 + [1] * 3 + [0] * 3 + [1] * 5 + [0] * 5)
        others = np.eye(2)[[0] * 14 + [1] * 10]
        donors = [*range(4), *range(4), *range(10, 16), *range(20, 25), *range(20, 25)]
        return scores, group, others, np.array(donors)

    null = simulate(0)
    # The correlation is estimated once for all columns, as for many genes; one column alone is in the next test.
    assert 0.035 < rejected(fit_groups(*null).columns) < 0.065
    known = np.r_[0:8, 14:24]
    shift = simulate(1)
    pairs_only = fit_groups(shift[0][known], shift[1][known], shift[2][known], shift[3][known])
    assert rejected(fit_groups(*shift).columns) >= rejected(pairs_only.columns) - 0.01
    assert r or rejected(fit_groups(*shift).columns) > rejected(pairs_only.columns) + 0.1


@pytest.mark.slow
def test_one_model_keeps_its_error_rate_for_one_column():
    rng = np.random.default_rng(7)
    group, others = np.array([1] * 7 + [0] * 6), np.ones((13, 1))
    donors = [0, 1, 2, 3, 4, 5, 5, 0, 1, 2, 6, 7, 7]
    person = rng.normal(size=(8, 1, 1500))
    scores = person[donors, 0] + rng.normal(size=(13, 1500))
    found = [fit_groups(scores[:, [place]], group, others, donors).columns for place in range(1500)]
    assert np.mean([rejected(each) for each in found]) < 0.065


def test_a_model_of_one_study_is_welch_s_test_without_its_degrees_of_freedom():
    group, reference = np.random.default_rng(8).normal(size=(2, 6, 3))
    found = fit_groups(np.vstack([group, reference]), [1] * 6 + [0] * 6, np.ones((12, 1))).columns
    welch = independent_columns(group, reference)
    for name in ("difference", "difference_se"):
        assert found[name] == pytest.approx(welch[name])


def test_a_unit_with_a_covariate_value_of_its_own_always_has_a_note():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(8, 16))
        scores, group = rng.normal(5, 1, size=(n, 1)), np.arange(n) < n // 2
        others = np.column_stack([np.ones(n), np.arange(n) == n - 1, rng.normal(size=n)])
        found, without = fit_groups(scores, group, others), fit_groups(scores[:-1], group[:-1], others[:-1, [0, 2]])
        assert found.note == "units that a covariate fits exactly do not count: 1"
        for name, expected in without.columns.items():
            assert found.columns[name] == pytest.approx(expected, rel=1e-6)
        assert without.note is None


@pytest.mark.parametrize(
    ("others", "note"),
    [
        ([[1, 1], [1, 1], [1, 1], [1, 0], [1, 0], [1, 0]], "the covariates cannot be told apart from the groups"),
        ([[1, 0], [1, 1], [1, 2], [1, 0], [1, 1], [1, 5]], None),
        (np.eye(6)[:, :5] + [[1, 0, 0, 0, 0]], "the covariates cannot be told apart from the groups"),
        ([[1, 0, 1], [1, 1, 0], [1, 2, 3], [1, 0, 0], [1, 1, 5], [1, 5, 2]], None),
        (
            [[1, 0, 1, 3], [1, 1, 0, 2], [1, 2, 3, 9], [1, 0, 0, 1], [1, 1, 5, 0], [1, 5, 2, 2]],
            "too few units for so many covariates",
        ),
    ],
)
def test_covariates_that_leave_nothing_to_compare(others, note):
    found = fit_groups(np.arange(6.0)[:, None] ** 2, [1, 1, 1, 0, 0, 0], np.array(others, float))
    assert (found.note, found.columns is None) == (note, note is not None)


def test_scores_that_do_not_vary_have_no_p():
    scores = np.column_stack([np.full(8, 3.7), np.arange(8.0) ** 2])
    found = fit_groups(scores, [1, 1, 0, 0] * 2, np.eye(2)[[0] * 4 + [1] * 4]).columns
    assert np.isnan(found["p_value"]).tolist() == [True, False]
    assert np.isnan(found["hedges_g"]).tolist() == [True, False]


def test_hc2_errors_are_those_of_statsmodels():
    rng = np.random.default_rng(9)
    scores, group, age = rng.normal(size=(15, 1)), np.arange(15) < 6, rng.normal(size=15)
    found = fit_groups(scores, group, np.column_stack([np.ones(15), age])).columns
    model = sm.OLS(scores[:, 0], np.column_stack([group, np.ones(15), age])).fit(cov_type="HC2")
    assert (found["difference"][0], found["difference_se"][0]) == pytest.approx((model.params[0], model.bse[0]))


@given(st.lists(st.one_of(st.none(), st.just(np.nan), st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.5])), max_size=20))
def test_adjusted_p_values_are_those_of_scipy(p_values):
    """Where a p value is missing, its adjusted value is, and the others are as if it were not there."""
    found = benjamini_hochberg(p_values)
    there = [p for p in p_values if p is not None and p == p]
    assert [q is None for q in found] == [p is None or p != p for p in p_values]
    np.testing.assert_allclose([q for q in found if q is not None], stats.false_discovery_control(there))


def test_families_are_adjusted_by_themselves():
    found = adjust_families([0.01, None, 0.02, 0.01, 0.03], ["a", "a", "b", "a", "b"])
    assert found == [0.01, None, 0.03, 0.01, 0.03]
    assert found[0] == stats.false_discovery_control([0.01, 0.01])[0]
