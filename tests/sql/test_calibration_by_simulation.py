"""What the calibration of hits is for, by simulation: random signatures, a planted programme, thinned cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import sigdb
from tests.support.calibration import N_SETS, PRIME, WINDOW, Study, build

# The hash. Tests against the reference show that SQL computes the same picks.


def picks(gene_ids):
    """Picks of a gene from 51 candidates: (n_genes, 200)."""
    h = (np.asarray(gene_ids, np.int64)[:, None] * 1103515245 + np.arange(N_SETS) * 12345679 + 1013904223) % PRIME
    return h * h % PRIME % WINDOW


def test_picks_are_uniform_and_those_of_two_genes_are_independent():
    found = picks(np.arange(20_000))
    # 4 million picks: a candidate with 1 % more picks than others would give p < 1e-3 in more than 80 % of tests.
    assert stats.chisquare(np.bincount(found.ravel(), minlength=WINDOW)).pvalue > 1e-3
    rng = np.random.default_rng(0)
    for pairs in (np.arange(19_999)[:, None] + [0, 1], rng.choice(20_000, (20_000, 2))):
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        a, b = (stats.zscore(found[pairs[:, i]], axis=1) for i in (0, 1))
        correlations = (a * b).mean(axis=1)
        assert abs(correlations.mean()) < 5e-3
        assert correlations.std() == pytest.approx(1 / math.sqrt(N_SETS), rel=0.05)
    # The mean of a set of independent picks has 1 / k of the variance of a pick.
    for k in (4, 20, 86):
        sets = np.array([found[rng.choice(20_000, k, replace=False)].mean(axis=0).var() for _ in range(2_000)])
        assert sets.mean() == pytest.approx((WINDOW**2 - 1) / 12 / k * (1 - 1 / N_SETS), rel=0.02)


# Calibration, by simulation.


def shares(counts):
    """A simple attribution: each gene has its share of the cell's square-rooted counts, 1000 in all."""
    roots = np.sqrt(counts)
    return roots * 1000 / np.maximum(roots.sum(axis=1, keepdims=True), 1e-9)


def simulate(rng, n_cells, n_genes, depth, programme=(), active=0.0):
    """Counts (n_cells, n_genes). In a part of the cells, `active`, genes of the programme are ten times as high."""
    level = rng.lognormal(0, 1.2, n_genes)
    rates = level * rng.gamma(2, 0.5, (n_cells, n_genes))
    is_active = np.arange(n_cells) < active * n_cells
    rates[np.ix_(is_active, list(programme))] *= 10
    return rng.poisson(rates * depth), is_active


def names_of(n):
    return [f"GENE{i:03}" for i in range(n)]


def write_counts(path, counts):
    scores = shares(counts).astype(np.float32)
    detected = (counts > 0).sum(axis=1).tolist()
    study = Study("only", scores, list(range(counts.shape[1])), detected)
    return build(path, names_of(counts.shape[1]), [study])


def middle_of(counts):
    """Genes that are far from both ends of the order of levels, so that their candidates lie on both sides of them."""
    return np.argsort(shares(counts).mean(axis=0))[3 * WINDOW // 2 : -3 * WINDOW // 2]


def rates_of_random_signatures(con, rng, genes, n_signatures, size=8):
    """The hit rate of random signatures of these genes: (n_signatures,)."""
    names = names_of(1000)
    query = "SELECT avg(is_hit::INTEGER) FROM signature_hits($g)"
    drawn = [[names[gene] for gene in rng.choice(genes, size, replace=False)] for _ in range(n_signatures)]
    return np.array([con.execute(query, {"g": each}).fetchall()[0][0] for each in drawn])


@pytest.mark.slow
def test_a_planted_programme_is_found_at_any_depth_and_nothing_else(tmp_path):
    """Half of the cells are thinned to 30 % of their counts: they have the hit rate of the other half."""
    rng = np.random.default_rng(1)
    programme = range(5, 45, 4)
    counts, is_active = simulate(rng, 1000, 400, depth=1.0, programme=programme, active=0.2)
    thinned = rng.random(1000) < 0.5
    counts[thinned] = rng.binomial(counts[thinned], 0.3)
    with sigdb.connect(write_counts(tmp_path / "a.duckdb", counts)) as con:
        query = "SELECT is_hit FROM signature_hits($g) ORDER BY cell_id"
        hits = np.ravel(con.execute(query, {"g": [names_of(400)[gene] for gene in programme]}).fetchall()).astype(bool)
        pooled = np.ravel(
            con.execute(
                "SELECT is_hit FROM signature_hits($g, against := 'cells', percentile := 80) ORDER BY cell_id",
                {"g": [names_of(400)[gene] for gene in programme]},
            ).fetchall()
        ).astype(bool)
        random = rates_of_random_signatures(con, rng, np.setdiff1d(middle_of(counts), programme), 3)
    for rows in (thinned, ~thinned):
        assert hits[is_active & rows].mean() > 0.9
        assert hits[~is_active & rows].mean() < 0.05
    assert hits[thinned].mean() == pytest.approx(hits[~thinned].mean(), abs=0.05)
    assert pooled.mean() == pytest.approx(0.2, abs=0.01)
    assert random.max() < 0.03


@pytest.mark.slow
def test_of_a_random_signature_one_per_cent_of_the_cells_are_hits(tmp_path):
    """100 signatures of genes of medium level. A rate of 1.5 % instead of 1 % would be refused with a power above 99 %.

    Signatures with the genes of the highest levels have more hits: most of their candidates are lower.
    """
    rng = np.random.default_rng(2)
    counts, _ = simulate(rng, 1000, 500, depth=1.0)
    thinned = rng.random(1000) < 0.5
    counts[thinned] = rng.binomial(counts[thinned], 0.3)
    with sigdb.connect(write_counts(tmp_path / "a.duckdb", counts)) as con:
        rates = rates_of_random_signatures(con, rng, middle_of(counts), 100)
    error = rates.std() / math.sqrt(len(rates))
    assert error < 0.0005
    assert abs(rates.mean() - 0.01) < 0.002
