"""On a CUDA GPU, attributions are those of float64 on the CPU, and one card serves big batches and several workers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch import nn

from ingest.attribution.device import attribute_cells, find_device, set_up
from ingest.attribution.methods import attribute_batch, scale
from ingest.models import FeedForward, Normalisation, load_model
from ingest.models.sparse import product, product_at
from ingest.options import METHODS, Compute, IngestOptions, Method, Source
from ingest.pipeline import ingest_files
from tests.ingest.conftest import scores_of, small_counts
from tests.support.oracle import captum_on_the_whole_model
from tests.support.zoo import ZOO, random_cells

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")

CUDA = "cuda"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return {name: make(tmp_path_factory.mktemp("zoo")) for name, make in ZOO.items()}


def errors(model, x, method, precision):
    """The largest error of a score of each cell against Captum in float64, as a share of the largest score: (n,)."""
    exact, _ = captum_on_the_whole_model(model, x, method)
    exact = exact / np.abs(exact).sum(axis=1, keepdims=True) * 1000
    placed, _ = set_up(model, Compute(CUDA, precision))
    found = scale(attribute_batch(placed, x, method))[0].toarray()
    return np.abs(found - exact).max(axis=1) / np.abs(exact).max(axis=1)


def test_a_gpu_is_found():
    assert find_device(Compute()).device == CUDA


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ZOO)
def test_float32_is_near_float64(zoo, name, method):
    model = zoo[name]
    if method in model.unsupported:
        pytest.skip(f"{method} is refused for this model")
    found = errors(model, random_cells(model, n_cells=12), Method(method), "float32")
    assert np.median(found) < 1e-5
    assert found.max() < 1e-3  # a point of the integral can fall on the other side of a jump


@pytest.mark.parametrize(("precision", "most"), [("tf32", 0.02), ("bf16", 0.1)])
def test_other_precisions_are_coarser(zoo, precision, most):
    model = zoo["scimilarity"]
    x = random_cells(model, n_cells=12)
    found = {each: np.median(errors(model, x, Method(), each)) for each in ("float32", precision)}
    assert found["float32"] < found[precision] < most


def test_products_equal_those_of_dense_matrices():
    x, weight = small_counts(12), torch.randn(30, 5)
    rows = torch.randn(12, 5)
    np.testing.assert_allclose(product(x, weight.to(CUDA)).cpu(), x.toarray() @ weight.numpy(), rtol=1e-5, atol=1e-5)
    expected = (rows @ weight.T).numpy()[x.nonzero()]
    np.testing.assert_allclose(product_at(x, rows.to(CUDA), weight.to(CUDA)), expected, rtol=1e-5, atol=1e-5)


def test_a_batch_that_does_not_fit_into_the_memory_of_the_card_is_split():
    torch.manual_seed(0)
    genes = tuple(f"G{n}" for n in range(200))
    tail = nn.Sequential(nn.ReLU(), nn.Linear(512, 32))
    wide = FeedForward("wide", "mlp", genes, Normalisation(), nn.Linear(200, 512), tail, True, "x")
    model, _ = set_up(wide, Compute(CUDA))
    counts = csr_matrix(np.random.default_rng(0).poisson(1.0, size=(3000, 200)).astype(np.float32))
    expected = attribute_cells(model, counts, Method(), batch_size=500).values.toarray()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((300 << 20) / total)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            attribute_batch(model, model.prepare(counts))
        found = attribute_cells(model, counts, Method(), batch_size=3000).values.toarray()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_has_the_scores_of_the_cpu(tmp_path, file, small_model, workers):
    stored = []
    for device, n in (("cpu", 1), (CUDA, workers)):
        atlas = tmp_path / f"{len(stored)}.duckdb"
        options = IngestOptions(compute=Compute(device, workers=n))
        ingest_files(atlas, [Source(file)], load_model("mlp", small_model), options)
        stored.append(scores_of(atlas))
    expected, found = stored
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), atol=0.05)
