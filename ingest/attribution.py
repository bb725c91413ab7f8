"""Attribution: how much each gene contributes to where the model places a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from captum.attr import IntegratedGradients
from scipy.sparse import csr_matrix, vstack

from sigdb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from ingest.models.core import CellModel

__all__ = ["TARGET_SUM", "Attributions", "concatenate", "integrated_gradients", "scale"]

TARGET_SUM = 1000.0


@dataclass(frozen=True)
class Attributions:
    """Signed, unscaled attributions of n cells.

    values: (n, n_genes) CSR, stored where the input is not 0. delta: (n,) sum of a cell's attributions minus
    f(cell) - f(baseline); 0 if the integral were exact.
    """

    values: csr_matrix
    delta: NDArray[np.float32]


def summed_embedding(model: CellModel, hidden: Tensor, reference: Tensor) -> Tensor:
    """The scalar that is explained, f(x') = sum_d |e_d(x) e_d(x')|: (n,), from the first layer's output for x'.

    reference: (n, latent_dim) embeddings e(x) of the cells that are explained, held constant. This is the summation
    layer of Gold et al. on the embedding as the model returns it ("published").
    """
    return (model.embed_hidden(hidden) * reference).abs().sum(dim=1)


def integrated_gradients(model: CellModel, x: csr_matrix, *, n_steps: int = 50) -> Attributions:
    """Integrated Gradients of the summed embedding, zero baseline (Sundararajan 2017, through Captum), of one batch.

    x: (n_cells, n_genes) float32, as `model.normalisation` returns it.

    The straight path from the zero baseline to a cell is straight in the space of the first, linear layer too. So
    Captum integrates there, by a Gauss-Legendre rule of n_steps points, and its average gradient m is pulled back
    through the layer, exactly: x * (W' m), on the non-zeros of x only. Raises ModelError if one is not finite.
    """
    gradients = IntegratedGradients(
        lambda hidden, reference: summed_embedding(model, hidden, reference), multiply_by_inputs=False
    )
    hidden, baseline = model.hidden(x), model.hidden_baseline()
    reference = model.embed_hidden(hidden)
    mean_gradient = gradients.attribute(
        hidden, baselines=baseline, additional_forward_args=(reference,), n_steps=n_steps
    ).detach()
    values = pull_back(x, mean_gradient, model.first.weight)
    explained = summed_embedding(model, hidden, reference) - summed_embedding(model, baseline, reference)
    if not np.isfinite(values.data).all():
        raise ModelError(f"Model {model.name} gives attributions that are NaN or infinite. Nothing was stored.")
    total = np.asarray(values.sum(axis=1, dtype=np.float64)).ravel()
    return Attributions(values, (total - explained.detach().numpy()).astype(np.float32))


def pull_back(x: csr_matrix, mean_gradient: Tensor, weight: Tensor) -> csr_matrix:
    """Attributions of the inputs from the average gradient in hidden space: x * (m @ W), on the non-zeros of x."""
    over_genes = (mean_gradient @ weight).numpy()
    rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    return csr_matrix((x.data * over_genes[rows, x.indices], x.indices, x.indptr), shape=x.shape)


def concatenate(batches: Sequence[Attributions]) -> Attributions:
    """The attributions of several batches of cells, in order."""
    values = csr_matrix(vstack([batch.values for batch in batches], format="csr"))
    return Attributions(values, np.concatenate([batch.delta for batch in batches]))


def scale(attributions: Attributions) -> tuple[csr_matrix, NDArray[np.float32]]:
    """Scale each cell's attributions to a sum of absolute values of 1000.

    Returns the scores (n, n_genes), exact zeros dropped, and the scale (n,): attribution = score x scale. The scale is
    NaN, and the row empty, for a cell to which nothing was attributed.
    """
    values = attributions.values.copy()
    totals = np.asarray(abs(values).sum(axis=1, dtype=np.float64)).ravel()
    factors = np.divide(TARGET_SUM, totals, out=np.zeros_like(totals), where=totals > 0)
    values.data = (values.data * np.repeat(factors, np.diff(values.indptr))).astype(np.float32)
    values.eliminate_zeros()
    return values, np.where(totals > 0, totals / TARGET_SUM, np.nan).astype(np.float32)
