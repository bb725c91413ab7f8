"""A linear model passes exactly; explanations and models with shuffled weights fail, for the right reason."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from torch import nn

from ingest import Compute, Method, check_model
from ingest.attribution.methods import attribute_batch
from ingest.check.cells import embed_cells
from ingest.check.check import put_in_words
from ingest.check.faithful import FRACTIONS, area, deletion_curve, insertion_curve, points_without, unpredicted
from ingest.check.judge import Explained, judge, recognition
from ingest.check.measures import Measure, at_least, at_most, better
from ingest.check.recognise import recognition_ranks, split_counts
from ingest.check.similar import l1_distance, rank_correlation, shuffle_weights, top_overlap, weights_by_layer
from ingest.models import FeedForward, Normalisation, load_model
from ingest.models.tokens import TokenModel, TokenNetwork, Tokens, batch_tokens
from sigdb.errors import CountsError, ModelError, OptionError, QueryError
from tests.ingest.conftest import DATA, GENES, save_small_model, small_counts
from tests.support.zoo import TRANSFORMERS

CPU = Compute("cpu", threads=1)
STUDY = files("ingest") / "demo" / "studies" / "wu2020_tcell.h5ad"


def linear(weight):
    """e(x) = W x, from raw counts."""
    weight = torch.as_tensor(np.asarray(weight, np.float32))
    first = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    first.weight = nn.Parameter(weight)
    genes = tuple(GENES[: weight.shape[1]])
    return FeedForward("linear", "mlp", genes, Normalisation(None, log1p=False), first, nn.Sequential(), False, "x")


@pytest.fixture(scope="module")
def demo():
    return load_model("mlp", files("ingest") / "demo" / "model")


def test_easy_cells_do_not_decide_recognition(demo):
    """40 cells that share no gene are recognised by any weights."""
    counts = np.kron(np.eye(40), np.full((1, len(demo.gene_ids) // 40), 50)).astype(np.float32)
    easy = Explained(demo, csr_matrix(counts), Method("ixg"), 256, 0)
    assert recognition(easy, shuffle_weights(demo, 2, 1))[-1].holds is None


@pytest.fixture(scope="module")
def cells(demo):
    """40 T cells of a bundled study, explained by the dot product."""
    from ingest.check.cells import read_cells

    counts = read_cells(STUDY, [demo], n_cells=40, seed=0).counts[0]
    return Explained(demo, counts, Method("ig", "dot", 20), 256, 0)


def test_deletion_and_insertion_by_hand():
    """One cell, W = [[3, 4], [0, 1]], counts (1, 1): e = (7, 1). Without the second gene: (3, 0), with it alone (4, 1).

    The highest gene is the second. The first step that deletes or inserts it takes ceil(0.01 x 2) = 1 gene; from more
    than one half on, both genes are taken.
    """
    model = linear([[3, 4], [0, 1]])
    counts = csr_matrix(np.ones((1, 2), np.float32))
    order = np.array([0.1, 0.9])
    whole = np.array([7, 1]) / np.sqrt(50)
    one = FRACTIONS <= 0.5
    without = np.where(one, whole @ [1, 0], 0)
    without[0] = 1
    np.testing.assert_allclose(deletion_curve(model, counts, order)[0], without, atol=1e-6)
    alone = np.where(one, whole @ (np.array([4, 1]) / np.sqrt(17)), 1)
    alone[0] = 0
    np.testing.assert_allclose(insertion_curve(model, counts, order)[0], alone, atol=1e-6)


def test_the_area_is_the_mean_similarity():
    assert area(np.ones((2, len(FRACTIONS)))) == pytest.approx([1, 1])
    assert area(FRACTIONS[None] * 1.0) == pytest.approx([0.5])


@pytest.mark.parametrize("name", ["ig", "ixg", "deeplift"])
def test_deletion_of_a_linear_model_is_exact(name):
    """f falls by exactly the attributions of the deleted genes, so infidelity is 0."""
    rng = np.random.default_rng(0)
    model = linear(rng.normal(size=(3, 8)))
    x = csr_matrix(rng.poisson(2.0, size=(5, 8)).astype(np.float32))
    values = attribute_batch(model, x, Method(name, "dot", 5)).values
    kept = x.toarray() * (np.arange(8) >= 3)
    e, without = (each @ model.first.weight.numpy().T for each in (x.toarray(), kept))
    fall = (e * e).sum(axis=1) - (e * without).sum(axis=1)
    np.testing.assert_allclose(values.toarray()[:, :3].sum(axis=1), fall, rtol=1e-4, atol=1e-4)
    assert np.nanmax(unpredicted(model, x, values, "dot", seed=0)) < 1e-5


def test_infidelity_of_attributions_that_say_nothing():
    """Random attributions leave most of the changes unpredicted, attributions of 0 all of them."""
    rng = np.random.default_rng(0)
    model = linear(rng.normal(size=(3, 20)))
    x = csr_matrix(1 + rng.poisson(2.0, size=(30, 20)).astype(np.float32))
    noise = csr_matrix(rng.normal(size=x.shape).astype(np.float32))
    assert np.median(unpredicted(model, x, noise, "dot", seed=0)) > 0.7
    zeros = csr_matrix(x.shape, dtype=np.float32)
    np.testing.assert_allclose(unpredicted(model, x, zeros, "dot", seed=0), 1, rtol=1e-5)


class LinearTokens(TokenNetwork):
    """e = sum over genes of value x weight of the gene: a linear model that reads tokens."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(weight, dtype=torch.float32))
        self.layers = nn.ModuleList()

    def enter(self, points, batch):
        return points.unsqueeze(-1) * self.weight[batch.ids] * batch.is_gene.unsqueeze(-1)

    def pool(self, hidden, batch):
        return hidden.sum(1)


class LinearTokenModel(TokenModel):
    unsupported, row_bytes = {}, 1 << 20

    def prepare(self, counts):
        return counts

    def tokens(self, x):
        rows = zip(x.indptr[:-1], x.indptr[1:], strict=True)
        return batch_tokens(Tokens(x.indices[a:b], np.arange(a, b), x.data[a:b]) for a, b in rows)


def test_infidelity_of_a_linear_model_of_tokens_is_exact():
    """Cells of different lengths, so that there is padding. The token of a deleted gene stays, at its baseline."""
    rng = np.random.default_rng(0)
    network = LinearTokens(rng.normal(size=(8, 3)))
    model = LinearTokenModel("linear", "tokens", tuple(GENES[:8]), network, False, "x", context_limit=8)
    x = csr_matrix(rng.poisson(1.0, size=(6, 8)).astype(np.float32))
    values = attribute_batch(model, x, Method("ig", "dot", 5)).values
    assert np.nanmax(unpredicted(model, x, values, "dot", seed=0)) < 1e-5
    shifted = csr_matrix(np.roll(values.toarray(), 1, axis=0) * (x.toarray() != 0))
    assert np.nanmax(unpredicted(model, x, shifted, "dot", seed=0)) > 0.1
    entry = model.enter(x)
    some = torch.from_numpy(x.toarray())
    found = points_without(model, x, entry)(torch.cat([some, torch.zeros_like(some)]))
    assert torch.equal(found, torch.cat([entry.point, entry.baseline]))


def test_a_cell_of_which_a_transformer_reads_nothing_is_like_no_other():
    """An empty cell, and one without the token S of scFoundation. A chain of layers does place an empty cell."""
    counts = np.zeros((3, 503), np.float32)
    counts[0, :40], counts[1, 7] = 2, 1
    model = load_model("scfoundation", DATA / "scfoundation")
    found = embed_cells(model, csr_matrix(counts[:, : len(model.gene_ids)]))
    assert found.norm(dim=1).count_nonzero() == 1
    assert torch.equal(found[:1], model.embed(csr_matrix(counts[:1, : len(model.gene_ids)])))


@pytest.mark.parametrize(
    "name", [*(pytest.param(each, marks=pytest.mark.slow) for each in TRANSFORMERS[:2]), "geneformer"]
)
def test_transformers_are_checked(tmp_path, name):
    """Random weights: all tests have a number, and the baseline is left out with a note."""
    model = load_model(name, DATA / name)
    study = token_study(tmp_path / "s.h5ad", model)
    method = Method("ig", "dot", 2)
    found = check_model([model, shuffle_weights(model, 4, 1)], study, method, n_cells=14, compute=CPU)
    tests = set(found.table["test"].to_pylist())
    assert {"deletion", "infidelity", "shuffled weights", "steps doubled", "summation changed", "checkpoints"} < tests
    assert "baseline changed" not in tests
    assert "no other baseline was tried: Model " in " ".join(found.notes)
    assert found.n_cells == 12
    rows = {row["measure"]: row["value"] for row in found.table.to_pylist()}
    assert rows["Spearman, all layers"] < 0.5
    assert np.isfinite([value for value in rows.values() if value is not None]).all()


def token_study(path, model):
    """14 cells that express about 60 genes of a model; cells 3 and 9 have no counts."""
    counts = np.random.default_rng(0).poisson(2.0, size=(14, len(model.gene_ids))).astype(np.float32)
    counts[[3, 9]] = 0
    counts[:, 70:] = 0
    anndata.AnnData(csr_matrix(counts), var=pd.DataFrame(index=list(model.gene_ids))).write_h5ad(path)
    return path


def test_likeness_by_hand():
    one, other = np.array([[3.0, -2, 1, 9]]), np.array([[1.0, 2, -3, 9]])
    is_expressed = np.array([[True, True, True, False]])
    assert rank_correlation(one, other, is_expressed) == pytest.approx([-1])
    assert top_overlap(one, other, is_expressed) == pytest.approx([0])
    assert top_overlap(one, -one, is_expressed) == pytest.approx([1])
    assert l1_distance(one, 5 * one) == pytest.approx([0])
    assert l1_distance(np.array([[1.0, 0]]), np.array([[0, 2.0]])) == pytest.approx([2])
    assert np.isnan(rank_correlation(np.ones((1, 4)), one, is_expressed)).all()


@pytest.mark.parametrize("name", ["mlp", *TRANSFORMERS])
def test_shuffling_permutes_the_last_layers_only(demo, name):
    """All weight matrices of a layer, and none of the layers before it."""
    model = demo if name == "mlp" else load_model(name, DATA / name)
    n = len(weights_by_layer(model))
    assert n == {"mlp": 2, "scfoundation": 4, "scgpt": 4, "geneformer": 4}[name]
    for n_last in range(1, n + 1):
        pairs = zip(weights_by_layer(model), weights_by_layer(shuffle_weights(model, n_last, 0)), strict=True)
        same = [{torch.equal(a, b) for a, b in zip(*pair, strict=True)} for pair in pairs]
        assert same == [{True}] * (n - n_last) + [{False}] * n_last
    for one, other in zip(weights_by_layer(model), weights_by_layer(shuffle_weights(model, n, 0)), strict=True):
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)


def test_halves_add_up_and_are_recognised(demo, cells):
    one, other = split_counts(cells.counts, 0)
    assert abs(one + other - cells.counts).max() == 0
    assert min(one.sum(), other.sum()) > 0.4 * cells.counts.sum()
    assert recognition_ranks(demo, cells.counts, 0).mean() < 0.05
    assert 0.2 < recognition_ranks(shuffle_weights(demo, 2, 1), cells.counts, 0).mean() < 0.5


def test_measures():
    values = np.array([0.1, 0.3, np.nan])
    assert at_most("a", "b", values, 0.2).holds
    assert not at_least("a", "b", values, 0.3).holds
    assert at_most("a", "b", np.array([np.nan]), 0.2).holds is None
    gains = np.linspace(-1, 3, 40)
    assert better("a", "b", gains).holds
    assert better("a", "b", gains).value == pytest.approx(0.75)
    assert not better("a", "b", -gains).holds
    assert better("a", "b", np.zeros(5)).holds is False
    assert better("a", "b", np.full(5, np.nan)).holds is False


def test_better_is_a_test_at_the_level_it_names():
    """Without a gain, a test at level 0.01 finds one in 1 % of samples (here 1,000)."""
    rng = np.random.default_rng(0)
    found = np.mean([better("a", "b", rng.normal(size=30)).holds for _ in range(1000)])
    assert 0.003 < found < 0.02


def test_the_verdict_in_words():
    held, failed = (Measure("deletion", "m", 1.0, "a gain", holds) for holds in (True, False))
    undecided = Measure("recognition", "m", None, "a gain", None)
    assert put_in_words([held]) == "The explanation passes all 1 tests."
    assert put_in_words([undecided]) == "No test has a result. The cells do not decide: recognition."
    assert put_in_words([held, failed, undecided]) == (
        "The explanation fails 1 of 1 tests. Deletion: deleting the genes of high attribution changes the embedding no "
        "more than deleting others. The cells do not decide: recognition."
    )


def outcomes(measures):
    """Whether each test holds: all its measures, undecided ones aside."""
    tests = dict.fromkeys(each.test for each in measures if each.needs)
    return {test: all(each.holds is not False for each in measures if each.test == test) for test in tests}


def test_the_models_own_explanation_holds(cells):
    assert all(outcomes(judge(cells)[0]).values())


@pytest.mark.slow
def test_the_explanation_of_shuffled_weights_fails(demo, cells):
    """It is unfaithful to the model, which is unchanged and recognises cells."""
    found = outcomes(judge(cells, cells.explain(shuffle_weights(demo, 2, 9)))[0])
    assert not any(found[test] for test in ("deletion", "infidelity"))
    assert found["recognition"]


@pytest.mark.slow
def test_an_explanation_that_ignores_the_weights_fails(demo, cells, monkeypatch):
    """Expression as the explanation of every model does not change when weights are shuffled."""
    monkeypatch.setattr(Explained, "explain", lambda self, *args, **options: self.x)
    found = outcomes(judge(cells)[0])
    assert not any(found[test] for test in ("deletion", "shuffled weights"))


def test_a_model_with_shuffled_weights_fails(demo):
    found = check_model(shuffle_weights(demo, 2, 1), STUDY, Method("ixg"), n_cells=40, compute=CPU)
    assert not found.holds
    assert "Recognition: the model places cells no better than a copy with shuffled weights" in found.verdict


@pytest.mark.slow
def test_checkpoints_that_disagree_fail(demo):
    """A model agrees with itself, also if its genes are in another order, and not with shuffled weights."""
    other = reordered(demo, np.random.default_rng(0).permutation(len(demo.gene_ids)))
    models = [demo, other, shuffle_weights(demo, 2, 1)]
    found = check_model(models, STUDY, Method("ixg"), n_cells=20, compute=CPU)
    rows = [row for row in found.table.to_pylist() if row["test"] == "checkpoints" and row["needs"]]
    assert [row["holds"] for row in rows] == [True, False]
    assert rows[0]["value"] == pytest.approx(1, abs=1e-3)
    assert "checkpoints of the model are explained by other genes" in found.verdict.lower()


def reordered(model, order):
    """The same model with its genes in another order."""
    first = nn.Linear(*reversed(model.first.weight.shape))
    first.weight, first.bias = nn.Parameter(model.first.weight[:, order].clone()), model.first.bias
    genes = tuple(model.gene_ids[number] for number in order)
    return FeedForward(
        "other", "mlp", genes, model.normalisation, first, model.tail, model.l2_normalised, "y", layers=model.layers
    )


def small_study(path, n_cells=40):
    """The small study as a file; cell 3 has no counts."""
    counts = small_counts(n_cells)
    anndata.AnnData(counts, var=pd.DataFrame(index=GENES)).write_h5ad(path)
    return path


@pytest.mark.slow
def test_the_same_seed_gives_the_same_check(tmp_path, model):
    study = small_study(tmp_path / "s.h5ad")
    first, again, other = (
        check_model(model, study, Method(n_steps=4), n_cells=20, seed=s, compute=CPU) for s in (0, 0, 1)
    )
    assert first.table.equals(again.table)
    assert not first.table.equals(other.table)


def test_cells_without_counts_are_left_out_and_counted(tmp_path, model):
    found = check_model(model, small_study(tmp_path / "s.h5ad"), Method(n_steps=4), n_cells=40, compute=CPU)
    assert found.n_cells == 39
    assert "1 of the 40 cells that were drawn have no counts" in " ".join(found.notes)


@pytest.mark.parametrize("method", [Method("ixg"), Method("deeplift"), Method("ig", "published", 4)])
def test_every_method_can_be_checked(tmp_path, model, method):
    found = check_model(model, small_study(tmp_path / "s.h5ad"), method, n_cells=20, compute=CPU)
    tests = set(found.table["test"].to_pylist())
    assert ("steps doubled" in tests) == (method.name == "ig")
    assert ("baseline changed" in tests) == (method.name != "ixg")
    assert np.isfinite([row["value"] for row in found.table.to_pylist() if row["test"] != "recognition"]).all()


def test_what_cannot_be_checked(tmp_path, model):
    study = small_study(tmp_path / "s.h5ad")
    scimilarity = load_model("mlp", save_small_model(tmp_path / "other"))
    object.__setattr__(scimilarity, "architecture", "scimilarity")
    with pytest.raises(OptionError, match="`n_cells` must be at least 10, not 9"):
        check_model(model, study, n_cells=9)
    with pytest.raises(OptionError, match="There is no model"):
        check_model([], study)
    with pytest.raises(ModelError, match="of one architecture can be compared, not of mlp and scimilarity"):
        check_model([model, scimilarity], study)
    with pytest.raises(OptionError, match="leave `workers`"):
        check_model(model, study, compute=Compute("cpu", workers=2))
    anndata.AnnData(csr_matrix((20, len(GENES)), dtype=np.float32), var=pd.DataFrame(index=GENES)).write_h5ad(
        tmp_path / "empty.h5ad"
    )
    with pytest.raises(CountsError):
        check_model(model, tmp_path / "empty.h5ad")
    with pytest.raises(QueryError, match=r"A report is an \.html file"):
        check_model(model, study, Method(n_steps=2), n_cells=10, compute=CPU).write(tmp_path / "check.pdf")


@pytest.mark.slow
def test_the_page_contains_the_verdict_and_charts(tmp_path, model):
    pytest.importorskip("vl_convert")
    found = check_model(model, small_study(tmp_path / "s.h5ad"), Method(n_steps=4), n_cells=20, compute=CPU)
    page = found.write(tmp_path / "check.html")
    text = page.path.read_text()
    assert found.verdict.split(".")[0] in text
    charts = re.findall(r'<script type="application/json" data-chart="chart[\d-]+">(.*?)</script>', text, re.DOTALL)
    assert page.n_charts == len(charts) == 8
    orders = {row["order"] for row in json.loads(charts[1])["data"]["values"]}
    assert {"attribution", "expression", "random"} < orders
    assert "<script src" not in text
    assert "<link" not in text
