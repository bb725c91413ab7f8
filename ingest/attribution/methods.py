"""How much each gene contributes to where the model places a cell: the attributions of one batch of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack

from ingest.attribution.deeplift import multipliers as deeplift_multipliers
from ingest.attribution.integration import integrate
from ingest.models.core import FeedForward
from ingest.options import Method
from sigdb.errors import MethodError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from ingest.models.core import CellModel, Entry

__all__ = ["ROWS", "TARGET_SUM", "Attributions", "attribute_batch", "check_method", "concatenate", "most_rows", "scale"]

# The |scores| of a cell add up to this.
TARGET_SUM = 1000.0
# Rows (see `Entry`) that go through the network at a time: enough for the matrix products, few enough for the cache.
ROWS = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}
# What these rows may take, in bytes. A transformer keeps much more of a row than a chain of layers does.
ROW_MEMORY = {"cpu": 4 << 30, "cuda": 12 << 30, "mps": 4 << 30}
# A gradient that is smaller than what it explains by this factor is rounding error.
DEGENERATE = 1e-4


def check_method(method: Method, model: CellModel) -> None:
    """Raise MethodError, with the reason, if a method gives wrong numbers for a model."""
    if reason := model.unsupported.get(method.name):
        raise MethodError(f"{method.name} cannot explain model {model.name}: {reason}. Use `method='ig'`.")
    if method.name != "ig" and method.summation == "published" and model.l2_normalised:
        raise MethodError(
            f"{method.name} with the published summation explains nothing for model {model.name}: its embedding has "
            "unit length, so the summed embedding has its maximum at the cell itself, where its gradient is 0. "
            "Use `summation='dot'` or `method='ig'`."
        )


@dataclass(frozen=True)
class Attributions:
    """Signed, unscaled attributions of n cells.

    values: (n, n_genes) CSR, stored where input and baseline differ. delta: (n,) the sum of a cell's attributions minus
    (f(cell) - f(baseline)). It is 0 for DeepLIFT, and would be 0 for Integrated Gradients with an exact integral.
    error: (n,) the estimated L1 error of Integrated Gradients, as a share of the cell's summed |attribution|: half the
    L1 distance between the attributions from the odd and from the even points, each scaled to a sum of 1. NaN for other
    methods, for a single point, and for a cell without attributions. unread: (n, n_genes), see `CellModel.unread`; None
    if only prepared cells are known.
    """

    values: csr_matrix
    delta: NDArray[np.float32]
    error: NDArray[np.float32]
    unread: csr_matrix | None = None

    def take(self, cells: NDArray[np.intp]) -> Attributions:
        """The attributions of some of the cells, in this order."""
        unread = None if self.unread is None else self.unread[cells]
        return Attributions(self.values[cells], self.delta[cells], self.error[cells], unread)


class Scalar:
    """The scalar function f that is explained for each cell of a batch, with the cell's own embedding held constant.

    reference: (n, latent_dim), the embeddings that are held constant. at_cells: (n,) f at the cells. explained: (n,)
    f at the cells minus f at the baseline.
    """

    def __init__(self, model: CellModel, entry: Entry, summation: str) -> None:
        self.is_dot = summation == "dot"
        self.tail = entry.tail
        self.finish = (lambda z: z) if self.is_dot else model.finish
        with torch.no_grad():
            z = self.tail(entry.point)
            self.reference = self.finish(z)
            origin = self.tail(entry.baseline).expand_as(z)
            self.explained = (self.of_embedding(z) - self.of_embedding(origin)).cpu().numpy()
            self.at_cells = self.of_embedding(z).cpu().numpy()

    def of_embedding(self, z: Tensor) -> Tensor:
        """The values of f, from embeddings before normalisation of one or several copies of the batch: (m,)."""
        return self.of_pairs(self.finish(z).unflatten(0, (-1, len(self.reference))), self.reference).flatten()

    def of_pairs(self, e: Tensor, reference: Tensor) -> Tensor:
        """The values of f from embeddings (..., latent_dim), each with the embedding that is held constant."""
        terms = e * reference
        total: Tensor = (terms if self.is_dot else terms.abs()).sum(dim=-1)
        return total

    def __call__(self, points: Tensor) -> Tensor:
        """The values of f at points shaped as the entry's point, one or several copies of the batch: (m,)."""
        return self.of_embedding(self.tail(points))


def attribute_batch(
    model: CellModel, x: csr_matrix, method: Method | None = None, baseline: csr_matrix | None = None
) -> Attributions:
    """Attributions of one batch of cells.

    x: (n_cells, n_genes) float32, as `CellModel.prepare` returns it. baseline: (1, n_genes), prepared; default: a cell
    without expression. method: default `Method()`.

    Multipliers are computed behind the first layer and pulled back through it, which is exact: the attribution of a
    gene is (x - baseline) * multiplier. A cell whose local gradient is 0, or only rounding error, has attributions of
    0. Raises MethodError if the method does not suit the model, and ModelError if an attribution is not finite.
    """
    method = method or Method()
    check_method(method, model)
    if baseline is not None:
        method.check_baseline()
    entry = model.enter(x, baseline)
    f = Scalar(model, entry, str(method.summation))
    missed = None
    if method.name == "deeplift":
        if not isinstance(model, FeedForward):
            raise MethodError(f"deeplift needs a chain of layers; model {model.name} is not one. Use `method='ig'`.")
        found = deeplift_multipliers(model.tail, entry.point, entry.baseline, f.reference, is_dot=f.is_dot)
    elif method.name == "ixg":
        found = gradient(f, entry.point)
    else:
        n_rows = most_rows(model, entry.point.device.type)
        found, missed = integrate(lambda points: gradient(f, points), entry, method, n_rows)
    values = entry.pull_back(found)
    if not np.isfinite(values.data).all():
        raise ModelError(f"Model {model.name} gives attributions that are NaN or infinite. Nothing was stored.")
    if method.is_local:
        drop_rounding_error(values, f.at_cells)
    total = np.asarray(values.sum(axis=1, dtype=np.float64)).ravel()
    error = np.full(len(total), np.nan) if missed is None else halves_apart(values, entry.pull_back(missed))
    return Attributions(values, (total - f.explained).astype(np.float32), error.astype(np.float32))


def most_rows(model: CellModel, kind: str) -> int:
    """Rows (see `Entry`) of a model that go through its network at a time, on a kind of device."""
    return max(1, min(ROWS[kind], ROW_MEMORY[kind] // model.row_bytes))


def gradient(f: Scalar, points: Tensor) -> Tensor:
    """The gradient of f at points."""
    points = points.detach().requires_grad_()
    (found,) = torch.autograd.grad(f(points).sum(), points)
    return found


def drop_rounding_error(values: csr_matrix, at_cells: NDArray[np.float32]) -> None:
    """Set the attributions of a cell to 0 if they are so small beside f(cell) that they are only rounding error."""
    is_noise = summed(values) < DEGENERATE * np.abs(at_cells)
    values.data[np.repeat(is_noise, np.diff(values.indptr))] = 0


def halves_apart(values: csr_matrix, half_difference: csr_matrix) -> NDArray[np.float64]:
    """Half the L1 distance between values + half_difference and values - half_difference, both scaled: (n,).

    The two have the same stored entries.
    """
    lengths = np.diff(values.indptr)
    shares = []
    for sign in (1, -1):
        data = values.data + sign * half_difference.data
        totals = summed(csr_matrix((data, values.indices, values.indptr), values.shape))
        shares.append(data / np.repeat(nonzero(totals), lengths))
    apart = csr_matrix((shares[0] - shares[1], values.indices, values.indptr), values.shape)
    return np.where(summed(values) > 0, summed(apart) / 2, np.nan)


def summed(values: csr_matrix) -> NDArray[np.float64]:
    """The sum of the absolute values of each row: (n,)."""
    return np.asarray(abs(values).sum(axis=1, dtype=np.float64)).ravel()


def nonzero(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same numbers with NaN for 0, to divide by."""
    return np.where(totals > 0, totals, np.nan)


def concatenate(batches: Sequence[Attributions]) -> Attributions:
    """The attributions of several batches of cells, in order."""
    values = csr_matrix(vstack([batch.values for batch in batches], format="csr"))
    delta, error = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("delta", "error"))
    return Attributions(values, delta, error)


def scale(attributions: Attributions) -> tuple[csr_matrix, NDArray[np.float32]]:
    """Scale the attributions of each cell so that their absolute values add up to 1000.

    Returns the scores (n, n_genes), without zeros, and the scale (n,): attribution = score x scale. A cell without
    attributions has an empty row and a scale of NaN.
    """
    values = attributions.values.copy()
    totals = summed(values)
    factors = np.divide(TARGET_SUM, totals, out=np.zeros_like(totals), where=totals > 0)
    values.data = (values.data * np.repeat(factors, np.diff(values.indptr))).astype(np.float32)
    values.eliminate_zeros()
    return values, (nonzero(totals) / TARGET_SUM).astype(np.float32)
