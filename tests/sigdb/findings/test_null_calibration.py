"""Whether the nulls are what they say: random sets, uniform p values, no p value below what the sets allow."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import sigdb
from tests.support.toy import new_atlas, obs_of, write_study

N_GENES, N_TYPES, CELLS_PER_TYPE = 4000, 20, 2
GENES = [f"TOYGENE{n:04}" for n in range(N_GENES)]
# A panel, a whole genome, a study of which one signature can use up a stratum (five genes), and one without its genes.
MEASURED = {"panel": range(765), "genome": range(N_GENES), "tiny": range(10), "other": range(3900, N_GENES)}
TYPES = np.repeat([f"type {n:02}" for n in range(N_TYPES)], CELLS_PER_TYPE)
N_CONTROLS = 199


def scores_of(study):
    """Random scores. The genes of a stratum are exchangeable, and the cell types are independent."""
    rng = np.random.default_rng(len(study))
    of_genes, of_types = rng.uniform(1, 2, N_GENES), rng.lognormal(size=(N_TYPES, N_GENES))
    scores = of_genes * np.repeat(of_types, CELLS_PER_TYPE, axis=0)
    # In the second cell of each type only: a gene that is 0 in a type has the p value 1, which is not uniform.
    scores[1::CELLS_PER_TYPE] *= rng.random((N_TYPES, N_GENES)) < rng.uniform(0.3, 1, N_GENES)
    unmeasured = np.ones(N_GENES, bool)
    unmeasured[MEASURED[study]] = False
    scores[:, unmeasured] = 0
    return scores.astype(np.float32).astype(float)


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibration") / "null.duckdb"
    obs = obs_of(len(TYPES), cell_type=list(TYPES))
    with new_atlas(path) as atlas:
        for study, measured in MEASURED.items():
            write_study(atlas, scores_of(study), GENES, study=study, obs=obs, measured=list(measured))
    with sigdb.connect(path) as con:
        yield con


def nulls(con, genes, study=None, **options):
    """The rows of signature_null, as dictionaries."""
    named = "".join(f", {name} := ${name}" for name in options)
    query = f"FROM signature_null($genes{named}) WHERE study = $study OR $study IS NULL ORDER BY ALL"
    relation = con.execute(query, {"genes": genes, "study": study, **options})
    names = [column[0] for column in relation.description]
    return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def middle(p_value, n_sets=1_000_000):
    """The middle of the step of a p value. Steps are as wide as the number of sets allows."""
    return p_value - 0.5 / min(n_sets, N_CONTROLS + 1)


def limits(n, level=0.001):
    """The limits of the sum of squares of n standard normal numbers."""
    return stats.chi2.ppf([level / 2, 1 - level / 2], n)


def are_uniform(middles):
    """Two tests at the level 0.001: no shift (Kolmogorov and Smirnov), and no other spread of the normal scores."""
    low, high = limits(len(middles))
    spread = np.sum(stats.norm.isf(middles) ** 2)
    return bool(stats.kstest(middles, "uniform").pvalue > 0.001 and low < spread < high)


def random_signatures(study, size, n, seed=0):
    """n signatures of random genes that the study measured."""
    rng = np.random.default_rng(seed)
    return [[GENES[gene] for gene in rng.choice(MEASURED[study], size, replace=False)] for _ in range(n)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "size", "n"),
    [
        ("panel", 200, 10),
        *(pytest.param("panel", size, 20, marks=pytest.mark.slow) for size in (1, 20, 100)),
        *(pytest.param("genome", size, 20, marks=pytest.mark.slow) for size in (1, 20, 100, 200)),
    ],
)
def test_p_values_of_random_signatures_are_uniform(con, study, size, n):
    found = [
        middle(row["p_value"], row["n_sets"])
        for seed, genes in enumerate(random_signatures(study, size, n))
        for row in nulls(con, genes, study, n_controls=N_CONTROLS, seed=seed)
    ]
    assert len(found) == n * N_TYPES
    # Controls without the genes of the signature spread the normal scores by 1.44 (200 of 765 genes, 100 simulations).
    assert stats.chi2.sf(limits(len(found))[1] / 1.44**2, len(found)) > 0.999, "the power against that spread"
    assert are_uniform(found)


def test_the_check_notices_controls_without_the_genes_of_the_signature(con):
    """The same p values from sets that leave out the signature, drawn by numpy."""
    means = scores_of("panel")[:, :765].reshape(N_TYPES, CELLS_PER_TYPE, -1).mean(axis=1)
    strata = np.argsort(np.argsort(scores_of("panel")[:, :765].sum(axis=0))) * 14 // 765
    rng = np.random.default_rng(0)

    def p_values_of(genes, is_left_out):
        total = np.zeros((N_CONTROLS, N_TYPES))
        for stratum in range(14):
            members = np.flatnonzero(strata == stratum)
            n_drawn = np.isin(members, genes).sum()
            pool = np.setdiff1d(members, genes) if is_left_out else members
            for control in total:
                control += means[:, rng.choice(pool, n_drawn, replace=False)].sum(axis=1)
        return middle((1 + (total >= means[:, genes].sum(axis=1)).sum(axis=0)) / (1 + N_CONTROLS))

    for is_left_out in (False, True):
        signatures = [rng.choice(765, 200, replace=False) for _ in range(10)]
        p = np.concatenate([p_values_of(genes, is_left_out) for genes in signatures])
        assert are_uniform(p) is not is_left_out


def sets_of(con, genes, study, n_controls, seed=0):
    query = "SELECT control, list(match ORDER BY gene) FROM signature_controls(?, n_controls := ?, seed := ?)"
    rows = con.execute(f"{query} WHERE study = ? GROUP BY control ORDER BY control", [genes, n_controls, seed, study])
    return [tuple(matches) for _, matches in rows.fetchall()]


@pytest.fixture(scope="module")
def stratum(con):
    """The five genes of one of the two strata of the study `tiny`."""
    query = "SELECT DISTINCT match FROM signature_controls(?, n_controls := 100) WHERE study = 'tiny' ORDER BY match"
    found = [gene for (gene,) in con.execute(query, [GENES[:1]]).fetchall()]
    assert len(found) == 5
    return found


@pytest.mark.parametrize("n_drawn", [1, 2, 3, 4, 5])
def test_every_choice_of_genes_is_drawn_equally_often(con, stratum, n_drawn):
    n_controls = 3000
    found = Counter(sets_of(con, stratum[:n_drawn], "tiny", n_controls))
    choices = list(itertools.permutations(stratum, n_drawn))
    assert set(found) <= set(choices)
    assert stats.chisquare([found[choice] for choice in choices]).pvalue > 0.001


def test_sets_of_different_numbers_and_strata_are_independent(con):
    """Two sets of k of the n genes of a stratum share k * k / n genes; those of one shuffle share none."""
    genes = random_signatures("panel", 200, 1)[0]
    sets = [set(found) for found in sets_of(con, genes, "panel", 300)]
    query = """SELECT _n_signature, any_value(_n_genes) FROM sigdb_data.signature_strata(?, NULL, 25, NULL)
        WHERE _study = (SELECT study_id FROM sigdb_data.studies WHERE study = 'panel')
        GROUP BY _stratum, _n_signature"""
    expected = sum(k * k / n for k, n in con.execute(query, [genes]).fetchall())
    shared = np.array([[len(first & second) for second in sets] for first in sets])
    apart = shared[np.triu_indices(300, k=20)]
    assert apart.mean() == pytest.approx(expected, rel=0.01)
    assert apart.std() < 8
    own = [len(found & set(genes)) for found in sets]
    assert np.mean(own) == pytest.approx(expected, rel=0.03)


def exact_p_values(strata, genes, weight_of):
    """The share of all choices of control genes in the study `tiny` that score at least as high, by cell type."""
    means = scores_of("tiny").reshape(N_TYPES, CELLS_PER_TYPE, -1).mean(axis=1)
    choices = []
    for stratum in strata:
        weights = [weight_of[gene] for gene in genes if gene in stratum]
        drawn = itertools.permutations([GENES.index(gene) for gene in stratum], len(weights))
        choices.append([means[:, list(each)] @ np.array(weights) for each in drawn])
    scores = np.array([sum(each) for each in itertools.product(*choices)])
    own = sum(weight_of[gene] * means[:, GENES.index(gene)] for gene in genes)
    return (scores >= own - 1e-9).mean(axis=0)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [1.0, 2.0, -1.0]], ids=["plain", "weighted"])
def test_p_values_equal_those_of_all_choices(con, stratum, weights):
    other = sorted(set(GENES[:10]) - set(stratum))
    genes = [*stratum[1:3], other[3]]
    rows = nulls(con, genes, "tiny", n_controls=2000, weights=weights)
    exact = exact_p_values([stratum, other], genes, dict(zip(genes, weights, strict=True)))
    for row, p in zip(rows, exact, strict=True):
        assert abs(row["p_value"] - p) < 4 * math.sqrt(p * (1 - p) / 2000) + 1 / 2000
        assert row["p_value"] >= 1 / row["n_sets"]


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_distinct_sets_are_counted_and_p_is_never_below_their_floor(con, stratum, data):
    other = sorted(set(GENES[:10]) - set(stratum))
    sizes = [data.draw(st.integers(low, 5)) for low in (1, 0)]
    genes = stratum[: sizes[0]] + other[: sizes[1]]
    weights = data.draw(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=len(genes), max_size=len(genes)))
    parts = weights[: sizes[0]], weights[sizes[0] :]
    expected = math.prod(
        math.perm(5, len(part)) // math.prod(math.factorial(n) for n in Counter(part).values()) for part in parts
    )
    for row in nulls(con, genes, "tiny", n_controls=50, weights=weights):
        assert row["n_sets"] == expected
        assert 1 / expected <= row["p_value"] <= 1
        assert 1 / expected <= row["p_two_sided"] <= 1


def test_a_signature_of_all_genes_is_not_unusual(con):
    for row in nulls(con, GENES[:10], "tiny", n_controls=20):
        assert (row["n_sets"], row["p_value"], row["p_two_sided"]) == (1, 1, 1)
        assert (row["null_sd"], row["z"], row["null_mean"]) == (0, None, pytest.approx(row["score"]))


def test_large_numbers_of_sets_are_capped(con):
    (n_sets,) = {row["n_sets"] for row in nulls(con, GENES[:200], "genome", n_controls=2)}
    assert n_sets == 1_000_000


def test_a_study_without_the_genes_has_a_score_and_no_null(con):
    names = ("null_mean", "null_sd", "z", "p_value", "p_two_sided", "n_sets")
    for row in nulls(con, GENES[:5], "other", n_controls=20):
        assert (row["score"], row["n_measured"], row["n_controls"]) == (0, 0, 0)
        assert [row[name] for name in names] == [None] * 6


def test_low_scores_are_unusual_on_both_sides_only(con):
    """The genes of lowest score in a cell type are at the end of the null that p_value does not look at."""
    means = scores_of("genome")[:CELLS_PER_TYPE].mean(axis=0)
    expressed = np.flatnonzero(scores_of("genome").sum(axis=0) > np.median(scores_of("genome").sum(axis=0)))
    genes = [GENES[n] for n in expressed[np.argsort(means[expressed])[:20]]]
    row = nulls(con, genes, "genome", n_controls=N_CONTROLS)[0]
    assert row["cell_type"] == "type 00"
    assert row["p_value"] == 1
    assert row["p_two_sided"] == pytest.approx(2 / (N_CONTROLS + 1))


def test_the_score_is_the_score_of_the_other_macros(con):
    """One name is one number, also in a study that did not measure all genes."""
    genes, weights = GENES[:3] + GENES[760:770], [float(n) for n in range(1, 14)]
    expected = con.execute(
        """SELECT study, cell_type, sum(score * n_cells) / sum(n_cells), any_value(n_genes), any_value(n_measured)
        FROM signature_by_sample(?, weights := ?) GROUP BY ALL ORDER BY ALL""",
        [genes, weights],
    ).fetchall()
    rows = sorted(nulls(con, genes, weights=weights, n_controls=2), key=lambda row: (row["study"], row["cell_type"]))
    for row, (study, cell_type, score, n_genes, n_measured) in zip(rows, expected, strict=True):
        assert (row["study"], row["cell_type"], row["score"]) == (study, cell_type, pytest.approx(score))
        assert (row["n_genes"], row["n_measured"]) == (n_genes, n_measured)
    scores = {(row["study"], row["cell_type"]): row["score"] for row in rows}
    query = "SELECT DISTINCT study, cell_type, score FROM leading_genes(?, weights := ?)"
    for *group, score in con.execute(query, [genes, weights]).fetchall():
        assert scores[tuple(group)] == pytest.approx(score)


def test_few_distinct_sets_are_noted(con):
    found = sigdb.matched_null(con, GENES[:10], n_controls=20, min_cells=1, groups="study IN ('tiny', 'panel')")
    assert found.notes[1].endswith(
        "control sets, which is small: tiny (1). With a smaller `n_bins` there are more sets."
    )
    plain = sigdb.matched_null(con, GENES[:10], n_controls=20, min_cells=1, groups="study = 'panel'")
    assert len(plain.notes) == 1
