"""Attribution and expression: each measure against a direct computation, on a bundled study."""

from __future__ import annotations

import warnings
from importlib.resources import files

import numpy as np
import pytest
from scipy.stats import spearmanr

import sigdb
from sigdb.errors import QueryError
from sigdb.findings.expression import measure

anndata = pytest.importorskip("anndata")
pytest.importorskip("scanpy", reason="the extra `expression` is not installed")
pytest.importorskip("pyucell", reason="the extra `expression` is not installed")
from sklearn.metrics import roc_auc_score  # noqa: E402  (comes with scanpy)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
GENES = ["CD3D", "CD3E", "CD2", "FAM65B"]
STUDY = "zheng2017_pbmc68k"
POPULATION = "cell_type LIKE 'CD4%' OR cell_type LIKE 'CD8%'"


@pytest.fixture(scope="module")
def adata():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.read_h5ad(str(files("ingest") / "demo" / "studies" / f"{STUDY}.h5ad"))


@pytest.fixture
def con(demo_path):
    with sigdb.connect(demo_path) as con:
        yield con


def test_measures_equal_a_direct_computation(con, adata):
    before = adata.X.copy()
    shuffled = adata[np.random.default_rng(0).permutation(adata.n_obs)].copy()
    found = sigdb.against_expression(con, shuffled, GENES, study=STUDY, population=POPULATION, missing="ignore")
    rows = {row["method"]: row for row in found.table.to_pylist()}
    assert list(rows) == ["attribution", "mean_log", "score_genes", "ucell"]
    cells = con.execute(
        f"""SELECT score, n_counts, cell_type, {POPULATION} AS marked, barcode
        FROM cells JOIN signature_score(?, missing := 'ignore') USING (cell_id) WHERE study = ? ORDER BY cell_id""",
        [GENES, STUDY],
    ).fetchnumpy()
    marked = cells["marked"].astype(bool)
    counts = adata[list(cells["barcode"])].X.toarray()
    names = [name for name in adata.var_names if name in {*GENES, "RIPOR2"}]
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    mean = logged[:, [adata.var_names.get_loc(name) for name in names]].mean(axis=1)
    for method, scores in {"attribution": cells["score"], "mean_log": mean}.items():
        row = rows[method]
        assert (row["n_genes"], row["n_cells"], row["n_marked"]) == (len(names), 700, marked.sum())
        assert row["auroc"] == pytest.approx(roc_auc_score(marked, scores), abs=1e-6)
        assert row["depth_rho"] == pytest.approx(spearmanr(scores, cells["n_counts"]).statistic, abs=1e-6)
        types = {t: scores[cells["cell_type"] == t] for t in set(cells["cell_type"])}
        within = sum(len(each) * each.var() for each in types.values()) / (len(scores) * scores.var())
        assert row["within_variance"] == pytest.approx(within, rel=1e-5)
        members = [cells["cell_type"] == t for t in types if (cells["cell_type"] == t).sum() >= 10]
        rho = [abs(spearmanr(scores[each], cells["n_counts"][each]).statistic) for each in members]
        expected = np.average(rho, weights=[each.sum() for each in members])
        assert row["depth_rho_within"] == pytest.approx(expected, abs=1e-6)
    assert all(row["auroc"] > 0.8 for row in rows.values()), "T-cell genes mark T cells by any of them"
    assert (before != adata.X).nnz == 0


def test_types_of_opposite_correlation_do_not_cancel_out():
    """10 cells of type a whose score rises with depth (rho 1), 30 of type b whose score falls (-1), 9 of type c."""
    n_counts = np.r_[1:11, 1:31, 1:10]
    scores = np.r_[1.0:11, -1.0:-31:-1, np.tile([0.0, 1.0, 0.0], 3)]
    types = np.repeat(["a", "b", "c"], [10, 30, 9])
    found = measure(scores, n_counts, types, types == "a")
    assert found["depth_rho_within"] == pytest.approx(1)


REFUSED = {
    "another study": (
        {"study": "wu2020_tcell"},
        r"\d+ of \d+ cells of wu2020_tcell are not in adata \(.*obs_names must hold the barcodes",
    ),
    "no study": ({"study": "nowhere"}, "The atlas has no cells of a study 'nowhere'"),
    "a statement": ({"population": "true; DROP TABLE x"}, "not one SQL condition"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_do_not_fit_are_refused(con, adata, case):
    options, message = REFUSED[case]
    with pytest.raises(QueryError, match=message):
        sigdb.against_expression(con, adata, ["CD3E"], **{"study": STUDY, "population": POPULATION, **options})


def test_unknown_genes_are_refused(con, adata):
    with pytest.raises(QueryError, match="None of 1 gene of the signature is in var_names"):
        sigdb.against_expression(con, adata[:, 5:9].copy(), ["CD3E"], study=STUDY, population=POPULATION)
