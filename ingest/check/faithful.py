"""Does an explanation predict what the model does? Deletion and insertion of genes, and infidelity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from captum.metrics import infidelity, infidelity_perturb_func_decorator
from scipy.integrate import trapezoid
from scipy.sparse import csr_matrix
from torch.nn.functional import cosine_similarity

from ingest.attribution.methods import Scalar
from ingest.check.cells import batches, embed_cells
from ingest.models.tokens import TokenModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from ingest.models import CellModel
    from ingest.models.core import Entry

__all__ = ["FRACTIONS", "area", "deletion_curve", "insertion_curve", "unpredicted"]

# The shares of a cell's expressed genes that are deleted or inserted.
FRACTIONS = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1])
# Perturbations of a cell for infidelity, and the chance of a gene to be deleted in one.
N_PERTURBATIONS = 20
DELETED = 0.1


def deletion_curve(model: CellModel, counts: csr_matrix, order: NDArray[np.floating]) -> NDArray[np.float64]:
    """How similar a cell stays to itself while its expressed genes are deleted, the highest of `order` first.

    counts: (n_cells, n_genes), of raw counts. order: one number for each stored entry of `counts`. Returns the cosine
    similarity to the embedding of the whole cell, (n_cells, len(FRACTIONS)).
    """
    return curve(model, counts, lambda ranks, n_first: ranks >= n_first, order)


def insertion_curve(model: CellModel, counts: csr_matrix, order: NDArray[np.floating]) -> NDArray[np.float64]:
    """How similar an empty cell becomes to a cell while its genes are inserted, the highest of `order` first.

    Arguments and result are as for `deletion_curve`.
    """
    return curve(model, counts, lambda ranks, n_first: ranks < n_first, order)


def curve(
    model: CellModel,
    counts: csr_matrix,
    keep: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]],
    order: NDArray[np.floating],
) -> NDArray[np.float64]:
    """The cosine similarity of each cell to itself if only some genes are kept, by FRACTIONS."""
    lengths = np.diff(counts.indptr)
    ranks = np.concatenate([rank_from_highest(part) for part in np.split(order, counts.indptr[1:-1])])
    whole = embed_cells(model, counts)
    similarity = []
    for fraction in FRACTIONS:
        n_first = np.repeat(np.ceil(fraction * lengths).astype(np.int64), lengths)
        some = counts.copy()
        some.data *= keep(ranks, n_first)
        some.eliminate_zeros()
        similarity.append(cosine_similarity(embed_cells(model, some), whole).numpy())
    return np.array(similarity, np.float64).T


def rank_from_highest(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """The rank of each value, 0 for the highest; equal values are ranked as they stand."""
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return ranks


def area(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area under each curve over FRACTIONS: its mean similarity, (n_cells,)."""
    return np.asarray(trapezoid(curves, FRACTIONS, axis=1))


def unpredicted(
    model: CellModel, x: csr_matrix, values: csr_matrix, summation: str, *, seed: int
) -> NDArray[np.float64]:
    """The share of the changes of f that attributions do not predict, if random genes are deleted: (n_cells,).

    This is Captum's infidelity, with the best scale for each cell, divided by the infidelity of attributions of 0: 0
    for a perfect prediction, 1 for attributions that say nothing. Genes are deleted from the model's input x, which is
    not normalised again. The token of a deleted gene stays, at the baseline of the attributions. values: the
    attributions, as x.
    """
    parts = [unpredicted_batch(model, x[some], values[some], summation, seed) for some in batches(model, x)]
    return np.concatenate(parts)


def unpredicted_batch(
    model: CellModel, x: csr_matrix, values: csr_matrix, summation: str, seed: int
) -> NDArray[np.float64]:
    """`unpredicted` for the cells of one batch."""
    entry = model.enter(x)
    points_of = points_without(model, x, entry)
    f = Scalar(model, entry, summation)

    def forward(points: Tensor, reference: Tensor) -> Tensor:
        with torch.no_grad():
            # Captum puts the copies of a cell side by side, and the tail takes copies of the whole batch.
            n_cells, n_genes = x.shape
            copies = points.reshape(n_cells, -1, n_genes).transpose(0, 1).reshape(-1, n_genes)
            z = entry.tail(points_of(copies)).reshape(-1, n_cells, model.latent_dim).transpose(0, 1).flatten(0, 1)
            return f.of_pairs(f.finish(z), reference.to(z.device)).cpu()

    @infidelity_perturb_func_decorator(multiply_by_inputs=True)  # type: ignore[untyped-decorator]
    def delete_some(points: Tensor) -> Tensor:
        return points * (torch.rand_like(points) >= DELETED)

    def measure(attributions: csr_matrix, *, normalize: bool) -> NDArray[np.float64]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found = infidelity(
                forward,
                delete_some,
                torch.from_numpy(x.toarray()),
                torch.from_numpy(attributions.toarray()),
                additional_forward_args=(f.reference.cpu(),),
                n_perturb_samples=N_PERTURBATIONS,
                max_examples_per_batch=2 * x.shape[0],
                normalize=normalize,
            )
        return np.asarray(found.numpy(), np.float64)

    changes = measure(csr_matrix(x.shape, dtype=np.float32), normalize=False)
    return measure(values, normalize=True) / np.where(changes > 0, changes, np.nan)


def points_without(model: CellModel, x: csr_matrix, entry: Entry) -> Callable[[Tensor], Tensor]:
    """How inputs of copies of the cells x, dense and with some genes at 0, become points of their entry."""
    if not isinstance(model, TokenModel):
        return lambda inputs: model.enter(csr_matrix(inputs.numpy())).point
    batch = model.tokens(x)
    columns = torch.from_numpy(x.indices.astype(np.int64))[batch.entries.clamp(min=0)]

    def points_of(inputs: Tensor) -> Tensor:
        n_copies = len(inputs) // len(columns)
        is_deleted = (inputs.gather(1, columns.repeat(n_copies, 1)) == 0) & batch.is_gene.repeat(n_copies, 1)
        point, origin = (each.repeat(n_copies, *[1] * (each.dim() - 1)) for each in (entry.point, entry.baseline))
        where = is_deleted.reshape(*is_deleted.shape, *[1] * (point.dim() - 2)).to(point.device)
        return torch.where(where, origin, point)

    return points_of
