"""Attributions equal Captum run on the whole model, and obey what theory says of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from torch import nn

from ingest.attribution.methods import QUADRATURES, Attributions, Method, attribute, concatenate, scale
from ingest.models import FeedForward, Normalisation, load_model
from sigdb.errors import MethodError, ModelError
from tests.ingest.conftest import save_small_model, small_counts
from tests.support.oracle import captum_on_the_whole_model
from tests.support.zoo import ZOO


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return {name: make(tmp_path_factory.mktemp("zoo")) for name, make in ZOO.items()}


def prepared(model, seed=0, n_cells=6):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.3, 3.0, size=(n_cells, len(model.gene_ids))))
    return model.prepare(csr_matrix(counts.astype(np.float32)))


METHODS = {
    "ig": Method("ig"),
    "ig dot": Method("ig", "dot"),
    "ig riemann": Method("ig", n_steps=20, quadrature="riemann_middle"),
    "ixg": Method("ixg"),
    "ixg published": Method("ixg", "published"),
    "deeplift": Method("deeplift"),
    "deeplift published": Method("deeplift", "published"),
}


@pytest.mark.parametrize("against", ["zero", "mean"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ZOO)
def test_attributions_equal_captum_on_the_whole_model(zoo, name, method, against):
    model, method = zoo[name], METHODS[method]
    x = prepared(model)
    baseline = csr_matrix(x[:3].mean(axis=0).astype(np.float32)) if against == "mean" else None
    try:
        method.check(model, has_baseline=against == "mean")
    except MethodError:
        assert (
            (method.name == "deeplift" and "layer norm" in name)
            or (method.name != "ig" and method.summation == "published" and model.l2_normalised)
            or (method.name == "ixg" and against == "mean")
        )
        with pytest.raises(MethodError):
            attribute(model, x, method, baseline)
        return
    found = attribute(model, x, method, baseline)
    expected, delta = captum_on_the_whole_model(model, x, method, baseline)
    largest = np.abs(expected).max(axis=1, keepdims=True)
    assert largest.min() > 0
    assert (np.abs(found.values.toarray() - expected) / largest).max() < 1e-5
    totals = np.abs(expected).sum(axis=1)
    assert (np.abs(found.delta - delta) / totals).max() < 1e-5
    if method.name == "deeplift":
        assert (np.abs(found.delta) / totals).max() < 1e-5
    if against == "zero":
        assert found.values.nnz <= x.nnz
    else:
        only_baseline = (x.toarray() == 0) & (baseline.toarray() != 0)
        assert np.count_nonzero(found.values.toarray()[only_baseline]) > 0


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_every_quadrature_converges_to_the_same(tmp_path, quadrature):
    model = load_model("mlp", save_small_model(tmp_path / "m", activation="SELU", l2=True))
    x = prepared(model)
    reference = attribute(model, x, Method("ig", "dot", 400)).values.toarray()
    few, many = (attribute(model, x, Method("ig", "dot", n, quadrature)).values.toarray() for n in (5, 1000))
    assert np.abs(many - reference).max() < 5e-3 * np.abs(reference).max()
    assert np.abs(many - reference).max() < np.abs(few - reference).max()


def test_completeness_improves_with_steps(tmp_path):
    model = load_model("mlp", save_small_model(tmp_path / "m", activation="SELU", l2=True))
    x = prepared(model)
    errors = [np.abs(attribute(model, x, Method(n_steps=n)).delta).max() for n in (5, 50, 400)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < errors[0] / 10


def linear_model(weight):
    """e(x) = W x, not normalised: f(x') = sum_d |e_d(x) e_d(x')| is piecewise linear, so IG is exact."""
    first = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(weight))
    genes = tuple(f"G{i}" for i in range(weight.shape[1]))
    return FeedForward("linear", "mlp", genes, Normalisation(None, log1p=False), first, nn.Sequential(), False, "x")


@given(st.integers(0, 10_000), st.sampled_from(["ig", "ixg", "deeplift"]))
def test_a_linear_model_is_explained_exactly(seed, name):
    """Every method: x_g * sum_d w_d W_dg with w = W x, and it adds up to |W x|^2."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 8)).astype(np.float32)
    x = csr_matrix(rng.poisson(1.0, size=(4, 8)).astype(np.float32))
    found = attribute(linear_model(weight), x, Method(name, n_steps=2))
    embedding = x.toarray() @ weight.T
    expected = x.toarray() * (embedding @ weight)
    np.testing.assert_allclose(found.values.toarray(), expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(np.ravel(found.values.sum(axis=1)), (embedding**2).sum(axis=1), rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(found.delta, 0, atol=1e-3)


@pytest.mark.parametrize("name", ["ig", "ixg", "deeplift"])
def test_order_of_cells_and_batch_size_change_nothing(small_model, name):
    model, method = load_model("mlp", small_model), Method(name)
    x = model.prepare(small_counts()[:, :24])
    whole = scale(attribute(model, x, method))[0].toarray()
    for size in (1, 7):
        parts = [attribute(model, x[start : start + size], method) for start in range(0, x.shape[0], size)]
        np.testing.assert_allclose(scale(concatenate(parts))[0].toarray(), whole, rtol=1e-4, atol=1e-3)
    order = np.random.default_rng(0).permutation(x.shape[0])
    np.testing.assert_allclose(
        scale(attribute(model, x[order], method))[0].toarray(), whole[order], rtol=1e-4, atol=1e-3
    )


def test_local_methods_are_refused_where_the_gradient_is_zero_in_exact_arithmetic(small_model):
    """sum_d |e_d(x) e_d(x')| of a unit-length e is largest at x itself; only rounding error is left of its gradient."""
    model = load_model("mlp", small_model)
    assert model.l2_normalised
    x = model.prepare(small_counts()[:, :24])
    for name in ("ixg", "deeplift"):
        with pytest.raises(
            MethodError, match="unit length, so the summed embedding has its maximum at the cell itself"
        ):
            attribute(model, x, Method(name, "published"))
    expected, _ = captum_on_the_whole_model(model, x, Method("ixg", "published"))
    assert 0 < np.abs(expected).sum(axis=1).max() < 1e-5


def test_a_gradient_of_rounding_error_is_refused_at_run_time():
    """An embedding that ends in a layer norm has nearly unit length, whatever the model says of itself."""
    torch.manual_seed(0)
    tail = nn.Sequential(nn.ReLU(), nn.Linear(16, 8), nn.LayerNorm(8, elementwise_affine=False))
    genes = tuple(f"G{i}" for i in range(24))
    model = FeedForward("nearly", "mlp", genes, Normalisation(), nn.Linear(24, 16), tail, False, "x")
    x = model.prepare(small_counts()[:, :24])
    with pytest.raises(MethodError, match=r"Degenerate local gradient in \d+ of 40 cells.*needs --method ig"):
        attribute(model, x, Method("ixg"))
    assert np.abs(attribute(model, x, Method("ig")).values).sum() > 0


def test_deeplift_is_refused_for_layers_without_a_rule(zoo):
    with pytest.raises(MethodError, match=r"the Rescale rule is for affine and elementwise layers.*LayerNorm\. Use ig"):
        attribute(zoo["scvi layer norm"], prepared(zoo["scvi layer norm"]), Method("deeplift"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "dl"}, "There is no 'dl'; there are ig, ixg, deeplift"),
        ({"summation": "sum"}, "There is no 'sum'; there are published, dot"),
        ({"quadrature": "simpson"}, "There is no 'simpson'"),
        ({"n_steps": 0}, "at least 1 step"),
    ],
)
def test_settings_that_do_not_exist(settings, message):
    with pytest.raises(MethodError, match=message):
        Method(**settings)


def test_scaled_attributions_sum_to_1000_and_keep_sign_and_scale(small_model):
    model = load_model("mlp", small_model)
    found = attribute(model, model.prepare(small_counts()[:, :24]))
    scores, scales = scale(found)
    totals = np.ravel(abs(scores).sum(axis=1))
    assert np.isnan(scales[3])
    assert totals[3] == 0
    np.testing.assert_allclose(np.delete(totals, 3), 1000, rtol=1e-5)
    np.testing.assert_allclose(
        (scores.toarray() * np.nan_to_num(scales)[:, None]), found.values.toarray(), rtol=1e-4, atol=1e-7
    )
    assert scores.min() < 0 < scores.max()
    assert scores.dtype == np.float32


def test_attributions_that_are_not_finite_are_an_error():
    model = linear_model(np.full((2, 3), 1e30, np.float32))
    with pytest.raises(ModelError, match="NaN or infinite"):
        attribute(model, csr_matrix(np.full((1, 3), 1e9, np.float32)))


def test_by_hand():
    """Two cells; the second has nothing attributed."""
    scores, scales = scale(Attributions(csr_matrix([[0.5, -1.5, 0.0], [0.0, 0.0, 0.0]]), np.zeros(2)))
    np.testing.assert_allclose(scores.toarray(), [[250, -750, 0], [0, 0, 0]])
    np.testing.assert_allclose(scales, [0.002, np.nan])
