"""Scores equal a dense numpy computation, for any atlas and any query."""

from __future__ import annotations

import itertools
import shutil
import uuid

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sigdb
from sigdb import Atlas, Signature
from sigdb.atlas.derived import cluster
from tests.support.lakes import examples
from tests.support.toy import new_atlas, obs_of, write_study

GENES = ("S100A8", "S100A9", "CD3E", "LYZ", "MS4A1", "FAM65B", "NKG7", "GNLY")
# Other names of these genes, by index.
ALIASES = {0: ["CAGA", "s100a8"], 2: ["ENSG00000198851.4", "cd3e"], 4: ["CD20"], 5: ["RIPOR2", "C6orf32"]}

values = st.floats(-500, 500, width=32).map(lambda x: np.float32(round(x, 3)))
matrices = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 7), st.just(len(GENES))), elements=st.one_of(st.just(0), values)
)


@st.composite
def gene_lists(draw):
    """Indices of genes, repeats allowed, with a name for each, and one weight per gene or None."""
    indices = draw(st.lists(st.integers(0, len(GENES) - 1), min_size=1, max_size=12))
    names = [draw(st.sampled_from([GENES[i], *ALIASES.get(i, [])])) for i in indices]
    weight = {i: draw(st.floats(-4, 4).map(lambda x: round(x, 2)).filter(bool)) for i in set(indices)}
    weights = draw(st.sampled_from([None, [weight[i] for i in indices]]))
    return indices, names, weights


def oracle(dense, indices, weights, agg, signed):
    chosen = dict(zip(indices, weights or [1.0] * len(indices), strict=True))
    w = np.array(list(chosen.values()))
    a = dense[:, list(chosen)].astype(np.float64)
    total = (a if signed else np.abs(a)) @ w
    return total / np.abs(w).sum() if agg == "mean" else total


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An atlas with the model, so that no example has to load all gene names again."""
    path = tmp_path_factory.mktemp("oracle") / "template.duckdb"
    with new_atlas(path, GENES) as atlas:
        write_study(atlas, np.full((1, len(GENES)), np.nan), GENES, study="first", obs=obs_of(1))
    return path


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    studies=st.lists(matrices, min_size=1, max_size=3),
    ask=gene_lists(),
    agg=st.sampled_from(["mean", "sum"]),
    signed=st.booleans(),
)
def test_scores_equal_dense_numpy(template, studies, ask, agg, signed):
    indices, names, weights = ask
    path = template.with_name(f"{uuid.uuid4()}.duckdb")
    shutil.copy(template, path)
    with Atlas(path) as atlas:
        for number, dense in enumerate(studies):
            write_study(atlas, dense, GENES, study=f"study {number}", chunks=min(2, len(dense)))
        atlas.add_signatures([Signature("S", tuple(GENES[i] for i in dict.fromkeys(indices)))])
    dense = np.vstack([np.zeros((1, len(GENES)), np.float32), *studies])
    expected = oracle(dense, indices, weights, agg, signed)
    options = "weights := $weights, agg := $agg, signed := $signed"
    parameters = {"genes": names, "weights": weights, "agg": agg, "signed": signed}
    with sigdb.connect(path) as con:
        table = con.execute(f"FROM signature_score($genes, {options}) ORDER BY cell_id", parameters).fetchall()
        scalar = con.execute(
            f"SELECT cell_id, signature_score(cell_id, $genes, {options}) FROM cells ORDER BY cell_id", parameters
        ).fetchall()
        python = sigdb.score(con, names, weights=weights, agg=agg, signed=signed)
        library = con.execute(
            "SELECT score FROM signature_scores(['S'], agg := $agg, signed := $signed) ORDER BY cell_id",
            {"agg": agg, "signed": signed},
        ).fetchall()
        cube = con.execute(
            "SELECT gene_id, sum(sum_abs), sum(sum_signed), sum(n_nonzero) FROM attribution_summary GROUP BY 1"
        )
        summed = {gene: rest for gene, *rest in cube.fetchall()}
    path.unlink()
    assert [cell for cell, _ in table] == list(range(len(dense)))
    np.testing.assert_allclose([score for _, score in table], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose([score for _, score in scalar], expected, rtol=1e-9, atol=1e-9)
    assert python["cell_id"].to_pylist() == list(range(len(dense)))
    np.testing.assert_allclose(python["score"].to_numpy(), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.ravel(library), oracle(dense, indices, None, agg, signed), rtol=1e-9, atol=1e-9)
    exact = dense.astype(np.float64)
    for gene in range(len(GENES)):
        wanted = [np.abs(exact[:, gene]).sum(), exact[:, gene].sum(), np.count_nonzero(exact[:, gene])]
        np.testing.assert_allclose(summed.get(gene, [0, 0, 0]), wanted, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """1,400 genes and 5 cells, dense: more genes than the twelve branches of 50 genes in the macros can read."""
    path = tmp_path_factory.mktemp("wide") / "wide.duckdb"
    dense = np.random.default_rng(0).normal(size=(5, 1400)).astype(np.float32)
    with new_atlas(path) as atlas:
        write_study(atlas, dense, [f"GENE{i}" for i in range(1400)], obs=obs_of(5))
    return path, dense


@pytest.mark.slow
@pytest.mark.parametrize("branch", [50, 1000])
@pytest.mark.parametrize("n_genes", [1, 49, 50, 51, 100, 600, 601, 1400])
def test_lists_of_any_length(wide, n_genes, branch):
    """branch: the number of genes that a branch of the macro reads, which a setting decides; the default is 50."""
    path, dense = wide
    chosen = np.random.default_rng(n_genes).permutation(1400)[:n_genes]
    weights = np.linspace(-2, 3, n_genes + 1)[1:].tolist()
    parameters = [[f"GENE{i}" for i in chosen], weights]
    expected = np.abs(dense[:, chosen].astype(np.float64)) @ np.array(weights) / np.abs(weights).sum()
    with sigdb.connect(path) as con:
        con.execute("SET dynamic_or_filter_threshold = " + str(branch))
        table = con.execute(
            "SELECT score FROM signature_score(?, weights := ?) ORDER BY cell_id", parameters
        ).fetchall()
        scalar = con.execute(
            "SELECT signature_score(cell_id, ?, weights := ?) FROM cells ORDER BY cell_id", parameters
        ).fetchall()
    np.testing.assert_allclose(np.ravel(table), expected, rtol=1e-9)
    np.testing.assert_allclose(np.ravel(scalar), expected, rtol=1e-9)


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory):
    """An atlas of 3,000 cells, with its attributions sorted, and with its attributions in random order."""
    paths = [tmp_path_factory.mktemp("order") / name for name in ("sorted.duckdb", "shuffled.duckdb")]
    rng = np.random.default_rng(1)
    dense = np.where(rng.random((3000, 120)) < 0.3, rng.normal(size=(3000, 120)), 0).astype(np.float32)
    with new_atlas(paths[0]) as atlas:
        write_study(atlas, dense, [f"GENE{i}" for i in range(120)], chunks=5)
        with atlas.transaction() as con:
            cluster(con)
    shutil.copy(paths[0], paths[1])
    with Atlas(paths[1]) as atlas:
        atlas.con.execute(
            "CREATE OR REPLACE TABLE sigdb_data.attributions AS "
            "FROM sigdb_data.attributions ORDER BY hash(cell_id * 1000 + gene_id)"
        )
    return paths


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "SELECT score FROM signature_score($genes) ORDER BY cell_id",
        "SELECT signature_score(cell_id, $genes) FROM cells ORDER BY cell_id",
        "SELECT score FROM signature_by_sample($genes)",
        "SELECT is_hit::INTEGER FROM signature_hits($genes, percentile := 80, against := 'cells') ORDER BY cell_id",
        "SELECT is_hit::INTEGER + round(z, 9) FROM signature_hits($genes) ORDER BY cell_id",
    ],
)
def test_neither_threads_nor_the_order_of_rows_matter(shuffled, query):
    parameters = {"genes": [f"GENE{i}" for i in range(0, 120, 2)]}
    found = []
    for path, threads in itertools.product(shuffled, (1, 4)):
        with sigdb.connect(path) as con:
            con.execute("SET threads = " + str(threads))
            found.append(np.ravel(con.execute(query, parameters).fetchall()))
    for each in found[1:]:
        np.testing.assert_allclose(each, found[0], rtol=1e-12)


def test_several_runs_of_several_models(tmp_path):
    """Run b has other genes and one of the two studies. A query uses the first run unless it names another."""
    path = tmp_path / "runs.duckdb"
    one, two = np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([[8.0, 0.0]])
    with new_atlas(path) as atlas:
        write_study(atlas, one, ("CD3E", "LYZ"), study="one", run="a")
        write_study(atlas, two, ("CD3E", "LYZ"), study="two", run="a")
        write_study(
            atlas,
            np.array([[5.0, 6.0, 0.0], [0.0, 7.0, 3.0]]),
            ("LYZ", "NKG7", "RIPOR2"),
            study="one",
            model="b",
            run="b",
        )
    with sigdb.connect(path) as con:
        assert con.execute("FROM signature_score(['CD3E', 'LYZ']) ORDER BY 1").fetchall() == [
            (0, 1.5),
            (1, 2.0),
            (2, 4.0),
        ]
        assert con.execute("FROM signature_score(['LYZ'], run := 'b') ORDER BY 1").fetchall() == [(0, 5.0), (1, 0.0)]
        assert con.execute("SELECT signature_score(2, ['LYZ'], run := 'b')").fetchall() == [(None,)]
        status = "SELECT gene, status FROM check_genes(['CD3E', 'NKG7', 'FAM65B'], run := ?)"
        assert con.execute(status, ["b"]).fetchall() == [("CD3E", "missing"), ("NKG7", "ok"), ("FAM65B", "alias")]
        assert con.execute(status, ["a"]).fetchall() == [("CD3E", "ok"), ("NKG7", "missing"), ("FAM65B", "missing")]
        assert sigdb.score(con, ["LYZ"], run="b").to_pylist() == [
            {"cell_id": 0, "score": 5.0},
            {"cell_id": 1, "score": 0.0},
        ]
        with pytest.raises(duckdb.Error, match=r"1 of 1 gene is not in the model of this run: CD3E \(use run"):
            con.execute("FROM signature_score(['CD3E'], run := 'b')").fetchall()
        assert con.execute("SELECT study, n_cells, n_genes FROM studies ORDER BY 1").fetchall() == [
            ("one", 2, 4),
            ("two", 1, 2),
        ]
