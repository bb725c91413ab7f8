"""Hits against control genes: equal to an independent computation in numpy, calibrated, and the same at any depth."""

from __future__ import annotations

import math
from itertools import pairwise

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sigdb
from tests.support.calibration import Study, build, random_studies, reference
from tests.support.lakes import examples

GENES = tuple(f"GENE{i:03}" for i in range(130))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A large study, a panel of fewer genes than there are candidates, a panel, and a study of one cell."""
    studies = random_studies(0, (700, 60, 30, 1), len(GENES), (130, 40, 80, 90))
    studies[0].detected[1] = 0
    path = build(tmp_path_factory.mktemp("calibration") / "several.duckdb", GENES, studies)
    with sigdb.connect(path) as con:
        yield con, studies


def ids_of(con):
    found = dict(con.execute("SELECT symbol, gene_id FROM genes").fetchall())
    return [found[gene] for gene in sorted(found)]


def close(found, expected):
    assert (found is None) == (expected is None)
    if found is not None:
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-8)


OPTIONS = (
    "weights := $weights, agg := $agg, signed := $signed, measured_only := $measured_only, percentile := $percentile"
)


@settings(max_examples=examples(5), deadline=None)
@given(data=st.data())
def test_calibration_and_hits_equal_the_reference(several, data):
    con, studies = several
    only_in_some = [gene for gene in range(len(GENES)) if gene not in studies[1].measured]
    pool = data.draw(st.sampled_from([range(len(GENES)), only_in_some, [0, 9, 18, 27]]), label="pool")
    genes = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=9, unique=True), label="genes")
    weight = st.sampled_from([1.0, -0.5, 2.0, 3.0])
    weights = data.draw(st.none() | st.lists(weight, min_size=len(genes), max_size=len(genes)), label="weights")
    options = {
        "agg": data.draw(st.sampled_from(["mean", "sum"]), label="agg"),
        "signed": data.draw(st.booleans(), label="signed"),
        "measured_only": data.draw(st.booleans(), label="measured_only"),
        "percentile": data.draw(st.sampled_from([5, 50, 99]), label="percentile"),
    }
    strata, hits = reference(studies, ids_of(con), genes, weights or [1.0] * len(genes), **options)
    parameters = {"genes": [GENES[gene] for gene in genes], "weights": weights, **options}
    found = con.execute(
        f"""SELECT study, min_detected, n_cells, n_pairs, mean, sd, cutoff, n_genes, n_measured
        FROM signature_calibration($genes, {OPTIONS})""",
        parameters,
    ).fetchall()
    lowest = {depth: None if depth < 0 else math.ceil(2 ** (depth / 2)) for _, depth in strata}
    assert {row[:2] for row in found} == {(study, lowest[depth]) for study, depth in strata}
    expected = {(study, lowest[depth]): row for (study, depth), row in strata.items()}
    measured = {study.name: len(set(genes) & set(study.measured)) for study in studies}
    for study, min_detected, *counts_and_moments, n_genes, n_measured in found:
        assert counts_and_moments == pytest.approx(expected[study, min_detected], rel=1e-6, abs=1e-8)
        assert (n_genes, n_measured) == (len(genes), measured[study])
    rows = con.execute(
        f"SELECT cell_id, score, z, is_hit FROM signature_hits($genes, {OPTIONS})", parameters
    ).fetchall()
    assert {row[0] for row in rows} == set(hits)
    for cell, score, z, is_hit in rows:
        want_score, want_z, want_hit, cutoff = hits[cell]
        close(score, want_score)
        close(z, want_z)
        assert (is_hit is None) == (want_hit is None)
        if want_hit is not None and abs(want_score - cutoff) > 1e-7:
            assert is_hit == want_hit


SIGNATURE = [GENES[gene] for gene in (3, 17, 50, 71)]


def cells_of(con, rule=""):
    """Rows (cell, z, is_hit). Sums may be in another order each time, so z has nine decimal places."""
    query = f"SELECT cell_id, round(z, 9), is_hit FROM signature_hits($g {rule}) ORDER BY cell_id"
    return con.execute(query, {"g": SIGNATURE}).fetchall()


def test_a_population_does_not_change_what_a_hit_is(several):
    con, _ = several
    con.execute("CREATE OR REPLACE TEMP VIEW few AS SELECT cell_id FROM cells WHERE cell_id % 7 = 0")
    of_all = cells_of(con)
    assert cells_of(con, ", cells := 'few'") == [row for row in of_all if row[0] % 7 == 0]


def test_hits_are_nested_in_the_percentile(several):
    con, _ = several
    hits = [{cell for cell, _, hit in cells_of(con, f", percentile := {p}") if hit} for p in (50, 99, 100)]
    assert all(inner < outer for outer, inner in pairwise(hits))


def test_the_default_is_the_percentile_99_of_the_controls(several):
    con, _ = several
    default = cells_of(con)
    assert cells_of(con, ", percentile := 99") == default != cells_of(con, ", percentile := 95")
    of_cells = cells_of(con, ", against := 'cells'")
    assert cells_of(con, ", against := 'cells', percentile := 95") == of_cells != default
    query = "SELECT round(cutoff, 9) FROM signature_calibration($g, percentile := $p) ORDER BY study, min_detected"
    default, at_99 = (con.execute(query, {"g": SIGNATURE, "p": p}).fetchall() for p in (None, 99))
    assert default == at_99


def test_the_order_of_genes_does_not_matter(several):
    con, _ = several
    reverse = con.execute(
        "SELECT cell_id, is_hit FROM signature_hits($g) ORDER BY 1", {"g": SIGNATURE[::-1]}
    ).fetchall()
    assert reverse == [(cell, hit) for cell, _, hit in cells_of(con)]


def test_sd_and_cutoff_are_other_rules(several):
    con, _ = several
    by_sd = cells_of(con, ", sd := 1.5")
    measured = [(z, hit) for _, z, hit in by_sd if hit is not None and z is not None]
    assert len(measured) > 700
    assert all(hit == (z > 1.5) for z, hit in measured)
    scores = "SELECT score, is_hit FROM signature_hits($g, cutoff := 9)"
    found = con.execute(scores, {"g": SIGNATURE}).fetchall()
    assert all(hit in (None, score > 9) for score, hit in found)
    assert {hit for _, hit in found} >= {True, False}


@pytest.mark.parametrize("rule", ["", ", cutoff := -1"])
def test_a_study_that_measured_no_gene_has_no_hits_by_any_rule(several, rule):
    con, studies = several
    unmeasured = [gene for gene in range(len(GENES)) if gene not in studies[1].measured][:3]
    parameters = {"g": [GENES[gene] for gene in unmeasured]}
    query = f"""SELECT DISTINCT h.z, h.is_hit FROM signature_hits($g {rule}) AS h JOIN cells AS c USING (cell_id)
        WHERE c.study = 'study 1'"""
    assert con.execute(query, parameters).fetchall() == [(None, None)]
    rates = f"SELECT n_hits, hit_rate, mean_z, n_cells FROM sample_hit_rates($g {rule}) WHERE study = 'study 1'"
    assert con.execute(rates, parameters).fetchall() == [(None, None, None, 60)]


def one_study(path, scores, detected=None):
    detected = detected or [500] * len(scores)
    n = scores.shape[1]
    return build(path, GENES[:n], [Study("only", scores.astype(np.float32), list(range(n)), detected)])


def test_the_unit_of_the_scores_does_not_matter(tmp_path):
    (study,) = random_studies(3, (80,), 90, (90,))
    found = []
    for number, unit in enumerate((1, 4)):
        with sigdb.connect(one_study(tmp_path / f"{number}.duckdb", study.scores * unit)) as con:
            found.append(cells_of(con, ", percentile := 90"))
    assert [(cell, hit) for cell, _, hit in found[0]] == [(cell, hit) for cell, _, hit in found[1]]
    np.testing.assert_allclose([z for _, z, _ in found[0]], [z for _, z, _ in found[1]], atol=2e-9)
    assert any(hit for *_, hit in found[0])


def test_the_order_of_few_cells_does_not_matter(tmp_path):
    """In a stratum of up to 25 cells, every cell scores every control set."""
    (study,) = random_studies(4, (24,), 90, (90,))
    found = []
    for number, order in enumerate((np.arange(24), np.random.default_rng(0).permutation(24))):
        with sigdb.connect(one_study(tmp_path / f"{number}.duckdb", study.scores[order])) as con:
            z = np.array([z for _, z, _ in cells_of(con)])
            found.append(z[np.argsort(order)])
    np.testing.assert_allclose(*found, atol=2e-9)


# By hand.


def test_by_hand_on_the_toy_atlas(toy):
    """Levels: S100A9 (2 / 3 cells) < S100A8 (6 / 3) < CD3E (9 / 3). Every gene is a candidate for every other.

    A control set of one gene scores (6, 0, 0), (2, 0, 0) or (0, 9, 0) in the three cells, which are one stratum.
    """
    picks = toy.execute(
        "SELECT _gene, count(*) FROM sigdb_data.calibration_sets(['CD3E'], NULL, 'mean', NULL) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    n = dict(picks)
    assert sum(n.values()) == 200
    scores = np.repeat([6.0, 2.0, 9.0, 0.0], [n[0], n[1], n[2], 400])
    row = toy.execute("SELECT n_cells, n_pairs, mean, sd, cutoff FROM signature_calibration(['CD3E'])").fetchall()
    assert row == [
        (3, 600, *(pytest.approx(each) for each in (scores.mean(), scores.std(), np.percentile(scores, 99))))
    ]
    hits = toy.execute(
        "SELECT cell_id, z, is_hit FROM signature_hits(['CD3E'], percentile := 80) ORDER BY 1"
    ).fetchall()
    low, high = ((each - scores.mean()) / scores.std() for each in (0, 9))
    cutoff = np.percentile(scores, 80)
    assert hits == [
        (0, pytest.approx(low), False),
        (1, pytest.approx(high), bool(cutoff < 9)),
        (2, pytest.approx(low), False),
    ]


def test_a_cell_of_unknown_depth_has_its_own_stratum(several):
    con, studies = several
    rows = con.execute(
        "SELECT study, min_detected, n_cells FROM signature_calibration($g)", {"g": SIGNATURE}
    ).fetchall()
    unknown = {study: n for study, low, n in rows if low is None}
    assert unknown == {each.name: min(each.detected.count(None), 200) for each in studies if each.name in unknown}
    assert unknown["study 0"] == 54
    assert ("study 0", 1, 1) in rows  # a cell in which no gene was detected


def test_genes_that_a_study_never_saw_have_no_spread(tmp_path):
    """All candidates score 0, so there is no z, and nothing is above the cut-off."""
    scores = np.zeros((10, 120))
    scores[:, 110:] = 100
    with sigdb.connect(one_study(tmp_path / "a.duckdb", scores)) as con:
        query = f"SELECT DISTINCT score, z, is_hit FROM signature_hits(['{GENES[5]}'])"
        assert con.execute(query).fetchall() == [(0, None, False)]


ERRORS = [
    ("against := 'genes'", "against must be 'controls' or 'cells', not 'genes'"),
    ("against := NULL", "against must be 'controls' or 'cells', not NULL"),
    ("percentile := 0.95", r"nearly every cell scores above 0.95. For the quantile 0.95, use percentile := 95"),
    ("percentile := 100.5", "percentile must be from 0 to 100, not 100.5"),
    ("percentile := -1", "percentile must be from 0 to 100, not -1"),
    ("cutoff := 1, sd := 1", "Both cutoff and sd are given"),
    ("cutoff := 'nan'::DOUBLE", "cutoff and sd must be finite"),
    ("agg := 'median'", "agg must be 'mean' or 'sum', not 'median'"),
]


@pytest.mark.parametrize(("options", "message"), ERRORS, ids=[options for options, _ in ERRORS])
def test_errors(toy, options, message):
    with pytest.raises(duckdb.Error, match=message):
        toy.execute(f"FROM signature_hits(['CD3E'], {options})").fetchall()


def test_hit_rates_refuse_what_hits_refuse(toy):
    with pytest.raises(duckdb.Error, match="against must be"):
        toy.execute("FROM sample_hit_rates(['CD3E'], against := 'genes')").fetchall()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("['CD3E'], percentile := 0.95", "use percentile := 95"),
        ("['CD3E'], percentile := 101", "from 0 to 100, not 101"),
        ("['CD3']", r"CD3 \(did you mean CD3E\?\)"),
        ("[]", "empty"),
        ("['CD3E'], run := 'v2'", "There is no run 'v2'"),
    ],
)
def test_errors_of_the_calibration(toy, call, message):
    with pytest.raises(duckdb.Error, match=message):
        toy.execute(f"FROM signature_calibration({call})").fetchall()


def test_a_low_percentile_is_allowed_for_hits_below(toy):
    query = "SELECT count(*) FROM signature_hits(['CD3E'], percentile := 0.5, below := true) WHERE is_hit"
    assert toy.execute(query).fetchall() == [(0,)]
