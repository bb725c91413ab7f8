"""Matched nulls and leading genes against dense numpy, on an atlas of random scores."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

import sigdb
from tests.support.toy import new_atlas, obs_of, write_study

N_GENES, N_CELLS = 240, 30
# Names that no gene list has. Each is a gene, with its place in this list as gene_id.
GENES = [f"TOYGENE{n:03}" for n in range(N_GENES)]
TYPES = np.array(["a", "b", None] * (N_CELLS // 3), dtype=object)
SIGNATURE = [GENES[n] for n in (3, 50, 51, 120, 239)]
# Study `panel` did not measure the last 40 genes. One of them is in the signature.
MEASURED = {"full": N_GENES, "panel": 200}


def scores_of(study):
    rng = np.random.default_rng(len(study))
    scores = rng.lognormal(size=(N_CELLS, N_GENES)) * rng.lognormal(sigma=1.5, size=N_GENES)
    scores *= rng.random((N_CELLS, N_GENES)) < rng.random(N_GENES)
    scores[:, MEASURED[study] :] = 0
    return (scores * rng.choice([-1, 1], scores.shape)).astype(np.float32).astype(float)


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    path = tmp_path_factory.mktemp("null") / "null.duckdb"
    with new_atlas(path) as atlas:
        for study, measured in MEASURED.items():
            obs = obs_of(N_CELLS, disease=["flu"] * N_CELLS, cell_type=list(TYPES))
            write_study(atlas, scores_of(study), GENES, study=study, obs=obs, measured=range(measured))
    with sigdb.connect(path) as con:
        yield con


def controls(con, genes, **options):
    named = "".join(f", {name} := {value}" for name, value in options.items())
    rows = con.execute(f"FROM signature_controls(?{named}) ORDER BY ALL", [genes]).fetchall()
    found = {}
    for study, control, gene, match in rows:
        found.setdefault((study, control), {})[gene] = match
    return found


def strata(study, n_bins=25):
    """The strata by sorting: bins of the mean, each divided in two by detection; ties in the order of the genes."""
    scores = np.abs(scores_of(study))[:, : MEASURED[study]]
    n = scores.shape[1]
    bins = np.empty(n, int)
    bins[np.argsort(scores.sum(axis=0), kind="stable")] = np.arange(n) * max(1, min(n_bins, n // 100)) // n
    result = np.empty(n, int)
    for each in set(bins):
        members = np.flatnonzero(bins == each)
        order = members[np.argsort((scores[:, members] != 0).sum(axis=0), kind="stable")]
        result[order] = 2 * each + 2 * np.arange(len(order)) // len(order)
    return result


def test_controls_are_genes_of_the_same_stratum_each_once_per_set(con):
    found = controls(con, SIGNATURE, n_controls=200)
    assert len(found) == 2 * 200
    for (study, _), matches in found.items():
        stratum = strata(study)
        place = GENES.index
        assert set(matches) == {gene for gene in SIGNATURE if place(gene) < MEASURED[study]}
        assert len(set(matches.values())) == len(matches)
        assert all(stratum[place(gene)] == stratum[place(match)] for gene, match in matches.items())
    used = {match for (study, _), matches in found.items() for match in matches.values() if study == "full"}
    stratum = strata("full")
    pool = {GENES[n] for n in range(N_GENES) if stratum[n] in {stratum[GENES.index(g)] for g in SIGNATURE}}
    assert used == pool, "every gene of the strata is drawn, those of the signature too"


def test_controls_depend_on_the_seed_alone(con):
    first = controls(con, SIGNATURE, n_controls=20)
    assert first == controls(con, SIGNATURE[::-1] + SIGNATURE[:1], n_controls=20)
    assert first == {key: found for key, found in controls(con, SIGNATURE, n_controls=40).items() if key[1] < 20}
    assert first != controls(con, SIGNATURE, n_controls=20, seed=1)


def test_controls_are_the_same_on_any_duckdb(con):
    matches = controls(con, SIGNATURE, n_controls=2)["full", 1].values()
    assert list(matches) == [f"TOYGENE{n:03}" for n in (26, 213, 161, 88, 41)]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("weights", [None, [1.0, -2.0, 0.5, 3.0, 1.0]], ids=["plain", "weighted"])
def test_nulls_equal_a_dense_computation(con, signed, weights):
    query = "FROM signature_null(?, n_controls := 100, weights := ?, signed := ?) ORDER BY study, cell_type NULLS LAST"
    relation = con.execute(query, [SIGNATURE, weights, signed])
    names = [column[0] for column in relation.description]
    rows = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    sets = controls(con, SIGNATURE, n_controls=100)
    weight = dict(zip(SIGNATURE, weights or [1.0] * 5, strict=True))
    assert [(row["study"], row["cell_type"]) for row in rows] == [(s, t) for s in MEASURED for t in ("a", "b", None)]
    for row in rows:
        study, cells = row["study"], np.array([each == row["cell_type"] for each in TYPES])
        scores = scores_of(study)[cells]
        means = (scores if signed else np.abs(scores)).mean(axis=0)
        own = [gene for gene in SIGNATURE if GENES.index(gene) < MEASURED[study]]
        total = sum(abs(weight[gene]) for gene in SIGNATURE)
        score = sum(weight[gene] * means[GENES.index(gene)] for gene in own) / total
        null = np.array(
            [
                sum(weight[gene] * means[GENES.index(match)] for gene, match in sets[study, n].items()) / total
                for n in range(100)
            ]
        )
        assert (row["n_cells"], row["n_controls"], row["n_genes"], row["n_measured"]) == (10, 100, 5, len(own))
        assert row["score"] == pytest.approx(score)
        assert (row["null_mean"], row["null_sd"]) == pytest.approx((null.mean(), null.std(ddof=1)))
        quantiles = [row[name] for name in ("null_low", "null_median", "null_high")]
        assert quantiles == pytest.approx(np.quantile(null, [0.025, 0.5, 0.975]))
        assert row["z"] == pytest.approx((score - null.mean()) / null.std(ddof=1))
        high, low = (1 + (null >= score).sum()) / 101, (1 + (null <= score).sum()) / 101
        assert (row["p_value"], row["p_two_sided"]) == pytest.approx((high, min(1, 2 * high, 2 * low)))
        assert row["n_sets"] == 1_000_000


def test_leading_genes_equal_a_dense_computation(con):
    weights = [1.0, -2.0, 0.5, 3.0, 1.0]
    rows = con.execute(
        """SELECT gene, contribution, share, rank, cumulative_share, score, score_without
        FROM leading_genes(?, weights := ?) WHERE study = 'full' AND cell_type = 'a' ORDER BY rank""",
        [SIGNATURE, weights],
    ).fetchall()
    means = np.abs(scores_of("full")[TYPES == "a"]).mean(axis=0)[[GENES.index(gene) for gene in SIGNATURE]]
    terms = np.array(weights) * means
    score = terms.sum() / np.abs(weights).sum()
    order = [n for n in np.argsort(-np.abs(terms)) if terms[n] != 0]
    assert [row[0] for row in rows] == [SIGNATURE[n] for n in order]
    for rank, (n, row) in enumerate(zip(order, rows, strict=True), 1):
        others = [m for m in range(5) if m != n]
        without = terms[others].sum() / np.abs(np.array(weights)[others]).sum()
        contribution = terms[n] / np.abs(weights).sum()
        expected = (contribution, contribution / score, rank, None, score, without)
        assert [got for got, want in zip(row[1:], expected, strict=True) if want is not None] == pytest.approx(
            [want for want in expected if want is not None]
        )
    assert rows[-1][4] == pytest.approx(1.0)


def test_a_signature_of_one_gene_has_no_score_without_it(con):
    assert con.execute("SELECT DISTINCT score_without FROM leading_genes(?)", [SIGNATURE[:1]]).fetchall() == [(None,)]


ERRORS = [
    ("FROM signature_null(['TOYGENE001'], n_controls := 1)", "n_controls must be from 2 to 1000000, not 1"),
    ("FROM signature_null(['TOYGENE001'], n_bins := 0)", "n_bins must be 1 or more, not 0"),
    ("FROM signature_controls(['TOYGENE001'], seed := NULL)", "seed must not be NULL"),
    ("FROM signature_controls(['FOO'])", "1 of 1 gene is not in this atlas: FOO"),
    ("FROM signature_null([])", "empty"),
    ("FROM leading_genes(['FOO'])", "FOO"),
    ("FROM leading_genes(['TOYGENE001'], run := 'v2')", "There is no run 'v2'"),
]


@pytest.mark.parametrize(("query", "message"), ERRORS, ids=[query for query, _ in ERRORS])
def test_errors(con, query, message):
    with pytest.raises(duckdb.Error, match=message):
        con.execute(query).fetchall()
    with pytest.raises(duckdb.Error, match=message):
        con.execute(f"SELECT count(*) FROM ({query})").fetchall()
