"""Attributions equal Captum's on the whole model, and have the properties that theory predicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from torch import nn

from ingest.attribution.methods import Attributions, attribute_batch, check_method, concatenate, scale
from ingest.models import FeedForward, Normalisation, load_model
from ingest.options import QUADRATURES, Method
from sigdb.errors import MethodError, ModelError
from tests.ingest.conftest import save_small_model, small_counts
from tests.support.oracle import captum_on_the_whole_model
from tests.support.zoo import ZOO, nearly_normalised, random_cells, with_dead_cell


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return {name: make(tmp_path_factory.mktemp("zoo")) for name, make in ZOO.items()}


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
    x = random_cells(model)
    baseline = csr_matrix(x[:3].mean(axis=0).astype(np.float32)) if against == "mean" else None
    try:
        check_method(method, model)
        if against == "mean":
            method.check_baseline()
    except MethodError:
        assert (
            (method.name == "deeplift" and "layer norm" in name)
            or (method.name != "ig" and method.summation == "published" and model.l2_normalised)
            or (method.name == "ixg" and against == "mean")
        )
        with pytest.raises(MethodError):
            attribute_batch(model, x, method, baseline)
        return
    found = attribute_batch(model, x, method, baseline)
    expected, delta = captum_on_the_whole_model(model, x, method, baseline)
    largest = np.abs(expected).max(axis=1, keepdims=True)
    assert largest.min() > 0
    assert (np.abs(found.values.toarray() - expected) / largest).max() < 1e-5
    totals = np.abs(expected).sum(axis=1)
    assert (np.abs(found.delta - delta) / totals).max() < 1e-5
    assert np.isnan(found.error).all() == (method.name != "ig")
    if method.name == "deeplift":
        assert (np.abs(found.delta) / totals).max() < 1e-5
    if against == "zero":
        assert found.values.nnz <= x.nnz
    else:
        only_baseline = (x.toarray() == 0) & (baseline.toarray() != 0)
        assert np.count_nonzero(found.values.toarray()[only_baseline]) > 0


@pytest.fixture(scope="module")
def selu(tmp_path_factory):
    """A model with SELU, and six cells."""
    model = load_model("mlp", save_small_model(tmp_path_factory.mktemp("selu") / "m", activation="SELU", l2=True))
    return model, random_cells(model)


@pytest.fixture(scope="module")
def reference(selu):
    """Attributions of the six cells with many steps of Gauss-Legendre."""
    return attribute_batch(*selu, Method("ig", "dot", 400)).values.toarray()


def test_autograd_differentiates_one_number_for_all_points(selu, monkeypatch):
    """With one output per point, autograd handles each separately, which takes most of the time."""
    outputs, grad = [], torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda output, *rest: outputs.append(output.shape) or grad(output, *rest)
    )
    attribute_batch(*selu)
    assert outputs == [()]


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_every_quadrature_converges_to_the_same_values(selu, reference, quadrature):
    steps = (5, 100 if quadrature == "gausslegendre" else 1000)
    few, many = (attribute_batch(*selu, Method("ig", "dot", n, quadrature)).values.toarray() for n in steps)
    assert np.abs(many - reference).max() < 5e-3 * np.abs(reference).max()
    assert np.abs(many - reference).max() < np.abs(few - reference).max()


def test_completeness_improves_with_steps(selu):
    errors = [np.abs(attribute_batch(*selu, Method(n_steps=n)).delta).max() for n in (5, 50, 400)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < errors[0] / 10


def linear_model(weight):
    """e(x) = W x without normalisation: f(x') = sum_d |e_d(x) e_d(x')| is piecewise linear, so IG is exact."""
    first = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(weight))
    genes = tuple(f"G{i}" for i in range(weight.shape[1]))
    return FeedForward("linear", "mlp", genes, Normalisation(None, log1p=False), first, nn.Sequential(), False, "x")


@settings(deadline=None)  # a busy machine takes longer than the default
@given(st.integers(0, 10_000), st.sampled_from(["ig", "ixg", "deeplift"]))
def test_a_linear_model_is_explained_exactly(seed, name):
    """Every method gives x_g * sum_d w_d W_dg with w = W x, which adds up to |W x|^2."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 8)).astype(np.float32)
    x = csr_matrix(rng.poisson(1.0, size=(4, 8)).astype(np.float32))
    found = attribute_batch(linear_model(weight), x, Method(name, n_steps=2))
    embedding = x.toarray() @ weight.T
    expected = x.toarray() * (embedding @ weight)
    np.testing.assert_allclose(found.values.toarray(), expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(np.ravel(found.values.sum(axis=1)), (embedding**2).sum(axis=1), rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(found.delta, 0, atol=1e-3)
    if name == "ig":
        np.testing.assert_allclose(np.nan_to_num(found.error), 0, atol=1e-5)


@pytest.mark.parametrize("name", ["ig", "ixg", "deeplift"])
def test_order_of_cells_and_batch_size_do_not_matter(small_model, name):
    model, method = load_model("mlp", small_model), Method(name)
    x = model.prepare(small_counts(15)[:, :24])
    whole = scale(attribute_batch(model, x, method))[0].toarray()
    for size in (1, 7):
        parts = [attribute_batch(model, x[start : start + size], method) for start in range(0, x.shape[0], size)]
        np.testing.assert_allclose(scale(concatenate(parts))[0].toarray(), whole, rtol=1e-4, atol=1e-3)
    order = np.random.default_rng(0).permutation(x.shape[0])
    np.testing.assert_allclose(
        scale(attribute_batch(model, x[order], method))[0].toarray(), whole[order], rtol=1e-4, atol=1e-3
    )


def test_local_methods_are_refused_where_the_gradient_is_zero_in_exact_arithmetic(small_model):
    """sum_d |e_d(x) e_d(x')| of an e of unit length is largest at x itself, so its gradient there is rounding error."""
    model = load_model("mlp", small_model)
    assert model.l2_normalised
    x = model.prepare(small_counts()[:, :24])
    for name in ("ixg", "deeplift"):
        with pytest.raises(
            MethodError, match="unit length, so the summed embedding has its maximum at the cell itself"
        ):
            attribute_batch(model, x, Method(name, "published"))
    expected, _ = captum_on_the_whole_model(model, x, Method("ixg", "published"))
    assert 0 < np.abs(expected).sum(axis=1).max() < 1e-5


def test_a_gradient_of_rounding_error_attributes_nothing():
    """After a layer norm, embeddings have nearly unit length, even if the model does not say so."""
    model = nearly_normalised()
    x = model.prepare(small_counts()[:, :24])
    found = attribute_batch(model, x, Method("ixg"))
    assert np.abs(found.values).sum() == 0
    assert np.isnan(scale(found)[1]).all()
    assert np.abs(attribute_batch(model, x, Method("ig")).values).sum() > 0


@pytest.mark.parametrize("name", METHODS)
def test_a_dead_cell_leaves_the_others_as_they_are(name):
    """The second cell leaves every unit of this model dead, as a cell without expression does."""
    (model, x), method = with_dead_cell(), METHODS[name]
    found = attribute_batch(model, x, method)
    _, scales = scale(found)
    assert np.isnan(scales).tolist() == [False, True, False]
    assert np.isnan(found.error).tolist() == ([False, True, False] if method.name == "ig" else [True] * 3)
    assert np.isfinite(found.delta).all()
    alone = attribute_batch(model, x[[0, 2]], method)
    np.testing.assert_allclose(found.values[[0, 2]].toarray(), alone.values.toarray(), rtol=1e-6)


def test_deeplift_is_refused_for_layers_without_a_rule(zoo):
    with pytest.raises(MethodError, match=r"for affine and elementwise layers.*LayerNorm\. Use `method='ig'`"):
        attribute_batch(zoo["scvi layer norm"], random_cells(zoo["scvi layer norm"]), Method("deeplift"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "dl"}, "There is no method 'dl'. `method` is one of ig, ixg, deeplift"),
        ({"summation": "sum"}, "There is no summation 'sum'. `summation` is one of published, dot"),
        ({"quadrature": "riemann"}, "There is no quadrature 'riemann'. Did you mean 'riemann_left'"),
        ({"n_steps": 0}, "`n_steps` must be at least 1, not 0"),
    ],
)
def test_unknown_settings_are_refused(settings, message):
    with pytest.raises(MethodError, match=message):
        Method(**settings)


def test_scaled_attributions_sum_to_1000_and_keep_sign_and_scale(small_model):
    model = load_model("mlp", small_model)
    found = attribute_batch(model, model.prepare(small_counts()[:, :24]))
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
        attribute_batch(model, csr_matrix(np.full((1, 3), 1e9, np.float32)))


def test_by_hand():
    """Two cells, the second without attributions."""
    scores, scales = scale(Attributions(csr_matrix([[0.5, -1.5, 0.0], [0.0, 0.0, 0.0]]), *np.zeros((2, 2))))
    np.testing.assert_allclose(scores.toarray(), [[250, -750, 0], [0, 0, 0]])
    np.testing.assert_allclose(scales, [0.002, np.nan])
