"""Devices: unknown or missing ones are refused, and batches that do not fit into memory are split."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from ingest.attribution import device as device_module
from ingest.attribution.device import attribute_cells, find_device, fitting_batch, set_up
from ingest.attribution.methods import attribute_batch, scale
from ingest.models import load_model, sparse
from ingest.options import Compute, Method
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
        ({"device": "tpu"}, "There is no device 'tpu'. `device` is auto, cpu, cuda, cuda:N or mps"),
        (
            {"device": "cpu", "precision": "fp8"},
            "no precision 'fp8'. `precision` is one of float32, tf32, bf16",
        ),
        ({"device": "cpu", "precision": "tf32"}, "`precision='tf32'` is for CUDA GPUs. On cpu, use float32 or bf16"),
        ({"workers": 0}, "`workers` must be at least 1, not 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_unknown_settings_are_refused(settings, message):
    with pytest.raises(DeviceError, match=message):
        Compute(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_a_missing_gpu_is_refused():
    assert find_device(Compute()).device == "cpu"
    assert find_device(Compute("cuda:1", is_remote=True)).device == "cuda:1"
    with pytest.raises(DeviceError, match=r"finds no cuda device on this machine\. Use `device='cpu'`"):
        find_device(Compute("cuda:1"))
    with pytest.raises(DeviceError, match="is for CUDA GPUs"):
        find_device(Compute("auto", "tf32"))


def test_workers_share_the_cores():
    assert Compute("cpu", threads=8, workers=3).threads_each == 2
    assert Compute("cpu", threads=1, workers=3).threads_each == 1
    assert Compute("cpu", threads=8, workers=4).of_worker(2, 0) == Compute("cpu", threads=2)
    assert Compute("cuda", threads=8, workers=4).of_worker(3, 2) == Compute("cuda:1", threads=2)


def test_cells_without_counts_get_no_attributions_and_no_delta(model, counts):
    found = attribute_cells(model, counts, Method(), batch_size=6)
    empty = np.array([0, 7, 19])
    assert (np.diff(found.values.indptr)[empty] == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.delta)), empty)
    kept = np.delete(np.arange(20), empty)
    expected = attribute_batch(model, model.prepare(counts[kept])).values.toarray()
    np.testing.assert_allclose(found.values.toarray()[kept], expected, atol=1e-6)


def test_a_batch_of_empty_cells_only(model):
    found = attribute_cells(model, csr_matrix((3, len(model.gene_ids)), dtype=np.float32), Method(), batch_size=2)
    assert found.values.shape == (3, len(model.gene_ids))
    assert np.isnan(found.delta).all()


def test_a_batch_that_does_not_fit_into_memory_is_split(model, counts, monkeypatch):
    whole, sizes = attribute_cells(model, counts, Method()), []

    def small_device(model, x, method, baseline):
        sizes.append(x.shape[0])
        if x.shape[0] > 5:
            raise torch.OutOfMemoryError
        return attribute_batch(model, x, method, baseline)

    monkeypatch.setattr(device_module, "attribute_batch", small_device)
    found = attribute_cells(model, counts, Method())
    assert sizes == [17, 8, 4, 4, 9, 4, 5]
    np.testing.assert_allclose(found.values.toarray(), whole.values.toarray(), atol=1e-6)

    def no_device(model, x, method, baseline):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(device_module, "attribute_batch", no_device)
    with pytest.raises(DeviceError, match="One cell is too large"):
        attribute_cells(model, counts, Method())


def test_the_size_of_a_batch_depends_on_free_memory(model, monkeypatch):
    sizes = []
    for free in (0, 200 << 20, 1 << 40):
        monkeypatch.setattr(device_module, "free_memory", lambda device, free=free: free)
        sizes.append(fitting_batch(model, "cpu"))
    assert sizes[0] == 1
    assert sizes[0] < sizes[1] <= sizes[2] == 256


def test_one_thread_or_two_give_the_same_bits(model, counts):
    found = []
    for threads in (1, 2):
        placed, batch_size = set_up(model, Compute("cpu", threads=threads))
        found.append(attribute_cells(placed, counts, Method(), batch_size=batch_size).values.toarray())
    np.testing.assert_array_equal(*found)


def test_bf16_is_near_float64_and_float32_nearer(model, counts):
    """The errors are the largest error of a score, as a share of the largest score of the cell."""
    counts = counts[np.diff(counts.indptr) > 0]
    x = model.prepare(counts)
    values, _ = captum_on_the_whole_model(model, x, Method())
    exact = values / np.abs(values).sum(axis=1, keepdims=True) * 1000
    errors = {}
    for precision in ("float32", "bf16"):
        placed, _ = set_up(model, Compute("cpu", precision))
        scores = scale(attribute_batch(placed, x))[0].toarray()
        errors[precision] = (np.abs(scores - exact) / np.abs(exact).max(axis=1, keepdims=True)).max()
    assert errors["float32"] < 1e-4
    assert errors["float32"] < errors["bf16"] < 0.1


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_products_of_other_devices(kind, monkeypatch):
    """The code for GPUs gives the same numbers. It runs on the CPU here."""
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


def test_a_model_on_another_device_is_the_same_model(model, counts):
    copied = replace(model, first=copy.deepcopy(model.first), tail=copy.deepcopy(model.tail)).to("cpu")
    np.testing.assert_array_equal(copied.embed(counts), model.embed(counts))
