"""Quadratures integrate what they should exactly, and the estimated error stands for the true one."""

from __future__ import annotations

import time
from importlib.resources import files
from types import SimpleNamespace

import anndata
import numpy as np
import pytest
import torch

from ingest.attribution.integration import integrate, quadrature_points
from ingest.attribution.methods import attribute_batch, scale, summed
from ingest.demo.train import align
from ingest.models import load_model
from ingest.options import QUADRATURES, Method


@pytest.mark.parametrize("rule", QUADRATURES)
@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_weights_add_up_to_one_and_points_ascend(rule, n):
    points, weights = quadrature_points(rule, n)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(points) > 0).all()
    assert 0 <= points[0] <= points[-1] <= 1


@pytest.mark.parametrize("n", [1, 2, 50])
def test_gauss_legendre_is_that_of_numpy(n):
    points, weights = np.polynomial.legendre.leggauss(n)
    found = np.array(quadrature_points("gausslegendre", n))
    np.testing.assert_allclose(found, [(points + 1) / 2, weights / 2], rtol=1e-11)
    np.testing.assert_array_equal(found.astype(np.float32), np.float32([(points + 1) / 2, weights / 2]))


def test_many_points_are_found_once_and_fast():
    """Ctrl-C has no effect until they are found."""
    started = time.perf_counter()
    assert quadrature_points("gausslegendre", 3000) is quadrature_points("gausslegendre", 3000)
    assert time.perf_counter() - started < 2, "0.3 s on an idle machine, and 5 s with numpy"


def integral_of(power, method, most_points=10**6):
    """The integral of t^power from 0 to 1, once per cell of a batch of two, and half the difference of its halves."""
    entry = SimpleNamespace(point=torch.ones(2, 3), baseline=torch.zeros(1, 3), rows=1)
    return integrate(lambda points: points**power, entry, method, most_points)


def test_gauss_legendre_is_exact_for_polynomials():
    for power in range(8):
        assert integral_of(power, Method(n_steps=4)).mean.numpy() == pytest.approx(1 / (power + 1), rel=1e-6)


def test_by_hand():
    """t at 0, 1/4, 1/2 and 3/4: the mean is 3/8; over every other point, it is 1/4 and 1/2."""
    found = integral_of(1, Method(n_steps=4, quadrature="riemann_left"))
    assert found.mean.numpy() == pytest.approx(3 / 8)
    assert np.abs(found.half_difference.numpy()) == pytest.approx(1 / 8)


def test_one_point_has_no_estimate():
    assert integral_of(1, Method(n_steps=1)).half_difference is None


@pytest.mark.parametrize("most_points", [1, 3, 7])
@pytest.mark.parametrize("n_steps", [2, 5, 50])
def test_points_at_a_time_do_not_matter(n_steps, most_points):
    method = Method(n_steps=n_steps)
    for found, expected in zip(integral_of(3, method, most_points), integral_of(3, method), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.fixture(scope="module")
def pancreas():
    """The demonstration model, and 20 cells of the bundled study on which its integrals are hardest."""
    demo = files("ingest") / "demo"
    model = load_model("mlp", demo / "model")
    study = anndata.read_h5ad(demo / "studies" / "baron2016_pancreas.h5ad")
    cells = np.sort(np.random.default_rng(0).choice(study.n_obs, 20, replace=False))
    return model, model.prepare(align(study, list(model.gene_ids)).counts[cells].astype(np.float32))


@pytest.fixture(scope="module")
def exact(pancreas):
    """The attributions of these cells with 1,000 steps, scaled, by summation."""
    return {each: scale(attribute_batch(*pancreas, Method("ig", each, 1000)))[0] for each in ("published", "dot")}


@pytest.mark.parametrize("quadrature", QUADRATURES)
@pytest.mark.parametrize("summation", ["published", "dot"])
def test_the_estimate_stands_for_the_true_error(pancreas, exact, summation, quadrature):
    """The true error is the L1 distance from 1,000 steps. The completeness delta is far below it."""
    found = attribute_batch(*pancreas, Method("ig", summation, 50, quadrature))
    error = summed(scale(found)[0] - exact[summation]) / 1000
    ratio = error / found.error
    assert 0.3 < np.median(ratio) < 0.95
    assert np.quantile(ratio, 0.9) < 1.4
    if quadrature == "gausslegendre":
        assert np.median(error / (np.abs(found.delta) / summed(found.values))) > 2
