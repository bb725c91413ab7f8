"""Scores of groups, hits and hit rates equal a dense computation over the cells, for any atlas."""

from __future__ import annotations

import shutil
import uuid
from itertools import groupby

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sigdb
from sigdb import Atlas, Signature
from tests.support.lakes import examples
from tests.support.toy import new_atlas, obs_of, write_study

GENES = ("S100A8", "S100A9", "CD3E", "LYZ", "MS4A1", "NKG7")
TYPES = ["monocyte", "T cell", None]
DISEASES = ["normal", "flu"]
TISSUES = ["blood", "blood", None]  # of the samples s0, s1 and s2 of a study

scores = st.one_of(st.just(0), st.floats(-500, 500, width=32).map(lambda x: np.float32(round(x, 3))))


@st.composite
def studies(draw):
    """A few studies: dense scores, the genes that each measured, and the samples and types of its cells."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        n_cells = draw(st.integers(1, 8))
        measured = draw(st.lists(st.integers(0, len(GENES) - 1), min_size=1, unique=True))
        dense = draw(hnp.arrays(np.float32, (n_cells, len(GENES)), elements=scores))
        dense[:, [gene for gene in range(len(GENES)) if gene not in measured]] = 0
        sample = draw(st.lists(st.integers(0, 2), min_size=n_cells, max_size=n_cells))
        types = draw(st.lists(st.sampled_from(TYPES), min_size=n_cells, max_size=n_cells))
        found.append((f"study {number}", dense, sorted(measured), sample, types))
    return found


gene_lists = st.lists(st.integers(0, len(GENES) - 1), min_size=1, unique=True)
weighting = st.one_of(st.none(), st.just([1.0, -0.5, 2.0, 3.0, -1.0, 0.25]))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An atlas with the model, and one cell without attributions, of a study that measured every gene."""
    path = tmp_path_factory.mktemp("groups") / "template.duckdb"
    with new_atlas(path, GENES) as atlas:
        write_study(atlas, np.full((1, len(GENES)), np.nan), GENES, study="first", obs=obs_of(1))
    return path


def build(template, made):
    path = template.with_name(f"{uuid.uuid4()}.duckdb")
    shutil.copy(template, path)
    cells = [("first", "sample 1", None, None, range(len(GENES)), np.zeros(len(GENES)))]
    with Atlas(path) as atlas:
        for study, dense, measured, sample, types in made:
            obs = obs_of(
                len(dense),
                sample=[f"{study} s{n}" for n in sample],
                disease=[DISEASES[n % 2] for n in sample],
                tissue=[TISSUES[n] for n in sample],
                cell_type=types,
            )
            write_study(atlas, dense, GENES, study=study, obs=obs, measured=measured)
            written = [
                (study, f"{study} s{n}", DISEASES[n % 2], kind, measured, row.astype(np.float64))
                for n, kind, row in zip(sample, types, dense, strict=True)
            ]
            cells += sorted(written, key=lambda cell: list(types).index(cell[3]))
    return path, cells


def score(cell, genes, weights, *, signed=False, measured_only=False):
    """The score of one cell, by hand; None if measured_only leaves no gene."""
    *_, measured, row = cell
    w = dict(zip(genes, weights or [1.0] * len(genes), strict=False))
    chosen = [gene for gene in genes if gene in measured] if measured_only else genes
    total = sum(abs(w[gene]) for gene in chosen)
    return sum(w[gene] * (row[gene] if signed else abs(row[gene])) for gene in genes) / total if total else None


def close(found, expected):
    assert (found is None) == (expected is None)
    if found is not None:
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


OPTIONS = "weights := $weights, signed := $signed, measured_only := $measured_only"
RULE = f"{OPTIONS}, against := 'cells'"


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=studies(),
    genes=gene_lists,
    weights=weighting,
    signed=st.booleans(),
    measured_only=st.booleans(),
    percentile=st.sampled_from([0, 12.5, 50, 90, 95, 100]),
    min_coverage=st.sampled_from([0, 0.5, 1]),
)
def test_groups_hits_and_rates(template, made, genes, weights, signed, measured_only, percentile, min_coverage):
    path, cells = build(template, made)
    options = {"signed": signed, "measured_only": measured_only}
    given_weights = weights[: len(genes)] if weights else None
    parameters = {"genes": [GENES[gene] for gene in genes], "weights": given_weights, **options}
    expected = [score(cell, genes, given_weights, **options) for cell in cells]
    with Atlas(path) as atlas:
        atlas.add_signatures([Signature("S", tuple(parameters["genes"]), tuple(given_weights or ()))])
    with sigdb.connect(path) as con:

        def rows(query, **more):
            return con.execute(query, {**parameters, **more}).fetchall()

        in_all_ways = [
            rows(f"SELECT score FROM signature_score($genes, {OPTIONS}) ORDER BY cell_id"),
            rows(f"SELECT signature_score(cell_id, $genes, {OPTIONS}) FROM cells ORDER BY cell_id"),
            con.execute(
                """SELECT score FROM signature_scores(['S'], signed := $signed, measured_only := $measured_only)
                ORDER BY cell_id""",
                options,
            ).fetchall(),
            [
                (each,)
                for each in sigdb.score(con, parameters["genes"], weights=given_weights, **options)["score"].to_pylist()
            ],
        ]
        by_sample = rows(
            f"""SELECT study, sample, disease, cell_type, n_cells, score, n_genes, n_measured
            FROM signature_by_sample($genes, min_coverage := $min_coverage, {OPTIONS})""",
            min_coverage=min_coverage,
        )
        hits = rows(
            f"SELECT cell_id, score, is_hit FROM signature_hits($genes, percentile := $p, {RULE}) ORDER BY 1",
            p=percentile,
        )
        rates = rows(
            f"""SELECT study, sample, n_cells, n_hits, hit_rate
            FROM sample_hit_rates($genes, percentile := $p, min_cells := 2, {RULE})""",
            p=percentile,
        )
    path.unlink()

    for table in in_all_ways:
        for (found,), want in zip(table, expected, strict=True):
            close(found, want)

    def group(cell):
        return tuple(str(label) for label in cell[:4])

    wanted = {}
    for key, members in groupby(
        sorted(range(len(cells)), key=lambda i: group(cells[i])), key=lambda i: group(cells[i])
    ):
        members = list(members)
        n_measured = sum(gene in cells[members[0]][4] for gene in genes)
        values = [expected[i] for i in members]
        if n_measured >= min_coverage * len(genes):
            wanted[key] = (len(members), None if None in values else np.mean(values), len(genes), n_measured)
    assert {tuple(map(str, row[:4])) for row in by_sample} == set(wanted)
    for *key, n_cells, mean, n_genes, n_measured in by_sample:
        want = wanted[tuple(map(str, key))]
        assert (n_cells, n_genes, n_measured) == (want[0], *want[2:])
        close(mean, want[1])

    scored = [value for value in expected if value is not None]
    assert [cell for cell, *_ in hits] == list(range(len(cells)))
    if scored:
        cutoff = np.percentile(scored, percentile)
        for (_, found, is_hit), want in zip(hits, expected, strict=True):
            close(found, want)
            if want is not None and abs(want - cutoff) > 1e-6:
                assert is_hit == (want > cutoff)
    counted = {}
    for cell, (_, _, is_hit) in zip(cells, hits, strict=True):
        n, k = counted.get(cell[:2], (0, 0))
        counted[cell[:2]] = (n + (is_hit is not None), k + bool(is_hit))
    assert {(a, b): (n, k) for a, b, n, k, _ in rates} == {key: each for key, each in counted.items() if each[0] >= 2}
    assert all(rate == pytest.approx(k / n) for *_, n, k, rate in rates)


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=studies(),
    genes=gene_lists,
    kind=st.sampled_from(TYPES),
    disease=st.sampled_from([None, *DISEASES]),
    tissue=st.sampled_from([None, "blood"]),
    study=st.sampled_from([None, "study 0", "first"]),
    signed=st.booleans(),
)
def test_importance_and_contributions(template, made, genes, kind, disease, tissue, study, signed):
    path, cells = build(template, made)
    asked = (study, kind, disease, tissue)

    def labels(cell):
        return cell[0], cell[3], cell[2], None if cell[0] == "first" else TISSUES[int(cell[1][-1])]

    chosen = [
        cell for cell in cells if all(want in (None, label) for want, label in zip(asked, labels(cell), strict=True))
    ]
    with sigdb.connect(path) as con:
        query = """SELECT gene, score, n_cells, fraction_nonzero, n_measured
            FROM gene_importance(study := ?, cell_type := ?, disease := ?, tissue := ?, signed := ?)"""
        if not chosen:
            with pytest.raises(duckdb.Error, match="No cells of this run have"):
                con.execute(query, [*asked, signed]).fetchall()
        else:
            found = {gene: rest for gene, *rest in con.execute(query, [*asked, signed]).fetchall()}
            for n, gene in enumerate(GENES):
                values = np.array([cell[5][n] if signed else abs(cell[5][n]) for cell in chosen])
                measured = sum(n in cell[4] for cell in chosen)
                if values.any():
                    expected = [values.mean(), len(values), (values != 0).mean(), measured]
                    assert found[gene] == pytest.approx(expected, rel=1e-6, abs=1e-9)
                else:
                    assert found.get(gene, [0])[0] == 0
        names = [GENES[gene] for gene in genes]
        parts = con.execute(
            """SELECT study, cell_type, disease, tissue, gene, n_cells, contribution, share
            FROM signature_contributions(?)""",
            [names],
        ).fetchall()
    path.unlink()
    for *group, gene, n_cells, contribution, _ in parts:
        members = [cell for cell in cells if labels(cell) == tuple(group)]
        assert n_cells == len(members)
        expected = np.mean([abs(cell[5][GENES.index(gene)]) for cell in members]) / len(genes)
        assert contribution == pytest.approx(expected, rel=1e-6)
    for _, group in groupby(sorted(parts, key=lambda row: str(row[:4])), key=lambda row: str(row[:4])):
        assert sum(row[-1] for row in group) == pytest.approx(1)


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """101 cells. Their scores of CD3E are 0 to 100, shuffled; of LYZ 0 to 19, five of each, and one 20."""
    path = tmp_path_factory.mktemp("ranked") / "ranked.duckdb"
    order = np.random.default_rng(0).permutation(101)
    with new_atlas(path, ("CD3E", "LYZ")) as atlas:
        write_study(atlas, np.column_stack([order, order // 5]).astype(np.float32), ("CD3E", "LYZ"))
    with sigdb.connect(path) as con:
        yield con, {"CD3E": order.astype(float), "LYZ": (order // 5).astype(float)}


@pytest.mark.slow
@pytest.mark.parametrize("percentile", [0, 1, 7, 29, 33.3, 50, 57, 66.667, 90, 95, 99.5, 100])
@pytest.mark.parametrize("gene", ["CD3E", "LYZ"])
def test_percentiles_equal_numpy_even_at_the_edge(ranked, gene, percentile):
    con, dense = ranked
    cutoff = np.percentile(dense[gene], percentile)
    query = "SELECT is_hit FROM signature_hits([$gene], percentile := $percentile, against := 'cells') ORDER BY cell_id"
    hits = np.ravel(con.execute(query, {"gene": gene, "percentile": percentile}).fetchall())
    np.testing.assert_array_equal(hits, dense[gene] > cutoff)
