"""Attributions equal Captum run on the whole model, and obey what theory says of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from torch import nn

from ingest.attribution import Attributions, concatenate, integrated_gradients, scale
from ingest.models import CellModel, Normalisation, load_model
from sigdb.errors import ModelError
from tests.ingest.conftest import DATA, save_small_model, small_counts


def captum_on_the_whole_model(model, x, n_steps=50):
    """Plain Captum from the genes on, dense input, zero baseline: the oracle."""
    dense = torch.from_numpy(x.toarray())

    def embed(inputs):
        z = model.tail(model.first(inputs))
        return nn.functional.normalize(z, dim=1) if model.l2_normalised else z

    reference = embed(dense)
    gradients = IntegratedGradients(lambda inputs, e: (embed(inputs) * e).abs().sum(dim=1))
    values, delta = gradients.attribute(
        dense, additional_forward_args=(reference,), n_steps=n_steps, return_convergence_delta=True
    )
    return values.detach().numpy(), delta.detach().numpy()


def models(tmp_path):
    yield load_model("scimilarity", DATA / "scimilarity")
    for activation in ("PReLU", "ReLU", "SELU"):
        for l2 in (True, False):
            yield load_model("mlp", save_small_model(tmp_path / f"{activation}-{l2}", activation=activation, l2=l2))


def prepared(model, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.3, 3.0, size=(12, len(model.gene_ids))))
    return model.normalisation(csr_matrix(counts.astype(np.float32)))


def test_integrated_gradients_equal_captum_on_the_whole_model(tmp_path):
    for model in models(tmp_path):
        x = prepared(model)
        found = integrated_gradients(model, x)
        expected, delta = captum_on_the_whole_model(model, x)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(found.values.toarray(), expected, atol=1e-5 * largest, err_msg=model.name)
        np.testing.assert_allclose(found.delta, delta, atol=1e-5 * np.abs(expected).sum(axis=1).max())
        assert found.values.nnz <= x.nnz


def test_completeness_improves_with_steps(tmp_path):
    model = load_model("mlp", save_small_model(tmp_path / "m", activation="SELU", l2=True))
    x = prepared(model)
    errors = [np.abs(integrated_gradients(model, x, n_steps=n).delta).max() for n in (5, 50, 400)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < errors[0] / 10


def linear_model(weight):
    """e(x) = W x, not normalised: f(x') = sum_d |e_d(x) e_d(x')| is piecewise linear, so IG is exact."""
    first = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(weight))
    genes = tuple(f"G{i}" for i in range(weight.shape[1]))
    return CellModel("linear", "mlp", genes, Normalisation(None, log1p=False), first, nn.Sequential(), False, "x")


@given(st.integers(0, 10_000))
def test_a_linear_model_is_explained_exactly(seed):
    """IG of sum_d |w_d (W x')_d| along x' = t x, with w = W x: x_g * sum_d w_d W_dg, and it adds up to |W x|^2."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 8)).astype(np.float32)
    x = csr_matrix(rng.poisson(1.0, size=(4, 8)).astype(np.float32))
    found = integrated_gradients(linear_model(weight), x, n_steps=2)
    embedding = x.toarray() @ weight.T
    expected = x.toarray() * (embedding @ weight)
    np.testing.assert_allclose(found.values.toarray(), expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(np.ravel(found.values.sum(axis=1)), (embedding**2).sum(axis=1), rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(found.delta, 0, atol=1e-3)


def test_order_of_cells_and_batch_size_change_nothing(small_model):
    model = load_model("mlp", small_model)
    x = model.normalisation(small_counts()[:, :24])
    whole = scale(integrated_gradients(model, x))[0].toarray()
    for size in (1, 7):
        parts = [integrated_gradients(model, x[start : start + size]) for start in range(0, x.shape[0], size)]
        np.testing.assert_allclose(scale(concatenate(parts))[0].toarray(), whole, rtol=1e-4, atol=1e-3)
    order = np.random.default_rng(0).permutation(x.shape[0])
    np.testing.assert_allclose(
        scale(integrated_gradients(model, x[order]))[0].toarray(), whole[order], rtol=1e-4, atol=1e-3
    )


def test_scaled_attributions_sum_to_1000_and_keep_sign_and_scale(small_model):
    model = load_model("mlp", small_model)
    found = integrated_gradients(model, model.normalisation(small_counts()[:, :24]))
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
        integrated_gradients(model, csr_matrix(np.full((1, 3), 1e9, np.float32)))


def test_by_hand():
    """Two cells; the second has nothing attributed."""
    scores, scales = scale(Attributions(csr_matrix([[0.5, -1.5, 0.0], [0.0, 0.0, 0.0]]), np.zeros(2)))
    np.testing.assert_allclose(scores.toarray(), [[250, -750, 0], [0, 0, 0]])
    np.testing.assert_allclose(scales, [0.002, np.nan])
