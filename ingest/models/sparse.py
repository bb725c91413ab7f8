"""Products of sparse matrices (cells x genes) with a dense weight of the genes, on the device of the weight."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix
    from torch import Tensor

__all__ = ["product", "product_at"]


def to_device(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """An array as a tensor on a device. To a CUDA GPU, it is copied asynchronously from pinned memory."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def product(x: csr_matrix, weight: Tensor) -> Tensor:
    """Multiply x (n, n_genes) float32 by weight (n_genes, n_hidden), contiguous: (n, n_hidden)."""
    if weight.device.type == "cpu":
        return torch.from_numpy(product_on_cpu(x, weight.numpy()))
    if weight.device.type == "cuda":
        on_gpu: Tensor = torch.sparse.mm(to_sparse_tensor(x, weight.device), weight)
        return on_gpu
    dense: Tensor = to_device(x.toarray(), weight.device) @ weight
    return dense


def product_at(pattern: csr_matrix, rows: Tensor, weight: Tensor) -> NDArray[np.float32]:
    """Entries of rows (n, n_hidden) @ weight.T where `pattern` (n, n_genes) has stored entries: (nnz,), in that order.

    weight: (n_genes, n_hidden), contiguous.
    """
    if weight.device.type in ("cpu", "cuda"):
        values = torch.sparse.sampled_addmm(to_sparse_tensor(pattern, weight.device), rows, weight.T, beta=0.0).values()
    else:
        cells = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
        values = (rows @ weight.T)[to_device(cells, rows.device), to_device(pattern.indices, rows.device).long()]
    return np.asarray(values.cpu().numpy(), dtype=np.float32)


def product_on_cpu(x: csr_matrix, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply by columns, so that the weights of a gene are read once for all cells. scipy releases the GIL."""
    n_parts = min(torch.get_num_threads(), x.shape[0]) or 1
    bounds = np.linspace(0, x.shape[0], n_parts + 1).astype(int)
    parts = [x[start:stop].tocsc() for start, stop in pairwise(bounds)]
    with ThreadPoolExecutor(n_parts) as pool:
        return np.concatenate(list(pool.map(lambda part: part @ weight, parts)))


def to_sparse_tensor(x: csr_matrix, device: torch.device) -> Tensor:
    """A CSR matrix as a sparse tensor on a device."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support|invariant checks)")
        indptr, indices, data = (to_device(each, device) for each in (x.indptr, x.indices, x.data))
        return torch.sparse_csr_tensor(indptr, indices, data, x.shape, check_invariants=False)  # scipy guarantees them
