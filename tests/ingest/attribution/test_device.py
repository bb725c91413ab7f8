"""Where attributions are computed: what does not exist is refused, what does not fit is done in parts."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from ingest.attribution import device as compute_module
from ingest.attribution.device import Compute, attribute_cells, fitting_batch, place
from ingest.attribution.methods import Method, attribute, scale
from ingest.models import load_model, sparse
from sigdb.errors import DeviceError
from tests.ingest.conftest import DATA, small_counts
from tests.support.oracle import captum_on_the_whole_model


@pytest.fixture(scope="module")
def model():
    return load_model("scimilarity", DATA / "scimilarity")


@pytest.fixture(scope="module")
def counts(model):
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.3, 3.0, size=(20, len(model.gene_ids)))).astype(np.float32)
    counts[[0, 7, 19]] = 0
    return csr_matrix(counts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "tpu"}, "There is no device 'tpu'"),
        ({"device": "cpu", "precision": "fp8"}, "There is no precision 'fp8'; there are float32, tf32, bf16"),
        ({"device": "cpu", "precision": "tf32"}, "tf32 is a format of CUDA GPUs; on cpu there are float32 and bf16"),
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_what_does_not_exist_is_refused(settings, message):
    with pytest.raises(DeviceError, match=message):
        Compute(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_a_gpu_that_is_not_there():
    assert Compute().device == "cpu"
    with pytest.raises(DeviceError, match=r"finds no cuda device on this machine\. Use --device cpu"):
        Compute("cuda:1")


def test_workers_share_the_cores():
    assert Compute("cpu", threads=8, workers=3).threads_each == 2
    assert Compute("cpu", threads=1, workers=3).threads_each == 1
    assert Compute("cpu", threads=8, workers=4).of_worker(2) == Compute("cpu", threads=2)


def test_cells_without_counts_get_no_attributions_and_no_delta(model, counts):
    found = attribute_cells(model, counts, Method(), batch_size=6)
    empty = np.array([0, 7, 19])
    assert (np.diff(found.values.indptr)[empty] == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.delta)), empty)
    kept = np.delete(np.arange(20), empty)
    expected = attribute(model, model.prepare(counts[kept])).values.toarray()
    np.testing.assert_allclose(found.values.toarray()[kept], expected, atol=1e-6)


def test_a_batch_of_empty_cells_only(model):
    found = attribute_cells(model, csr_matrix((3, len(model.gene_ids)), dtype=np.float32), Method(), batch_size=2)
    assert found.values.shape == (3, len(model.gene_ids))
    assert np.isnan(found.delta).all()


def test_a_batch_for_which_memory_runs_out_is_done_in_halves(model, counts, monkeypatch):
    whole, sizes = attribute_cells(model, counts, Method()), []

    def small_device(model, x, method, baseline):
        sizes.append(x.shape[0])
        if x.shape[0] > 5:
            raise torch.OutOfMemoryError
        return attribute(model, x, method, baseline)

    monkeypatch.setattr(compute_module, "attribute", small_device)
    found = attribute_cells(model, counts, Method())
    assert sizes == [17, 8, 4, 4, 9, 4, 5]
    np.testing.assert_allclose(found.values.toarray(), whole.values.toarray(), atol=1e-6)

    def no_device(model, x, method, baseline):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(compute_module, "attribute", no_device)
    with pytest.raises(DeviceError, match="One cell is too large"):
        attribute_cells(model, counts, Method())


def test_the_batch_is_what_fits_into_free_memory(model, monkeypatch):
    sizes = []
    for free in (0, 200 << 20, 1 << 40):
        monkeypatch.setattr(compute_module, "free_memory", lambda device, free=free: free)
        sizes.append(fitting_batch(model, "cpu"))
    assert sizes[0] == 1
    assert sizes[0] < sizes[1] <= sizes[2] == 256


def test_one_thread_or_two_give_the_same_bits(model, counts):
    found = []
    for threads in (1, 2):
        placed, batch_size = place(model, Compute("cpu", threads=threads))
        found.append(attribute_cells(placed, counts, Method(), batch_size=batch_size).values.toarray())
    np.testing.assert_array_equal(*found)


def test_bf16_is_near_float64_and_float32_nearer(model, counts):
    """Largest error of a score, as a share of the cell's largest."""
    counts = counts[np.diff(counts.indptr) > 0]
    x = model.prepare(counts)
    values, _ = captum_on_the_whole_model(model, x, Method())
    exact = values / np.abs(values).sum(axis=1, keepdims=True) * 1000
    errors = {}
    for precision in ("float32", "bf16"):
        placed, _ = place(model, Compute("cpu", precision))
        scores = scale(attribute(placed, x))[0].toarray()
        errors[precision] = (np.abs(scores - exact) / np.abs(exact).max(axis=1, keepdims=True)).max()
    assert errors["float32"] < 1e-4
    assert errors["float32"] < errors["bf16"] < 0.1


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_products_as_on_other_devices(kind, monkeypatch):
    """The same numbers by the code that GPUs take; no GPU was there when this was written."""
    monkeypatch.setattr(sparse, "to_device", lambda array, device: torch.from_numpy(array))
    x = small_counts(12)
    weight, rows = torch.randn(30, 5), torch.randn(12, 5)

    class Weight(torch.Tensor):
        device = torch.device(kind)
        __torch_function__ = torch._C._disabled_torch_function_impl

    elsewhere = weight.as_subclass(Weight)
    np.testing.assert_allclose(sparse.product(x, elsewhere).numpy(), x.toarray() @ weight.numpy(), rtol=1e-5, atol=1e-5)
    expected = (rows @ weight.T).numpy()[x.nonzero()]
    np.testing.assert_allclose(sparse.product_at(x, rows, elsewhere), expected, rtol=1e-5, atol=1e-5)


def test_a_placed_model_is_the_model(model, counts):
    placed = replace(model, first=copy.deepcopy(model.first), tail=copy.deepcopy(model.tail)).placed("cpu")
    np.testing.assert_array_equal(placed.embed(counts), model.embed(counts))
