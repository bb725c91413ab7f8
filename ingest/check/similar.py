"""How alike two explanations of the same cells are, and explanations that should be unlike: of shuffled weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from ingest.models import FeedForward
from ingest.models.tokens import TokenModel
from sigdb.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.models import CellModel

__all__ = ["N_TOP", "l1_distance", "rank_correlation", "shuffle_weights", "top_overlap", "weights_by_layer"]

N_TOP = 50


def rank_correlation(
    one: NDArray[np.floating], other: NDArray[np.floating], is_read: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Spearman's correlation of |attributions| over the genes that the model reads of each cell: (n_cells,).

    All arguments are (n_cells, n_genes). NaN for a cell whose attributions are all equal.
    """
    pairs = zip(np.abs(one), np.abs(other), is_read, strict=True)
    return np.array([correlate(a[some], b[some]) for a, b, some in pairs])


def correlate(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's correlation; NaN if it is not defined."""
    return float(spearmanr(a, b).statistic) if len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0 else float("nan")


def top_overlap(
    one: NDArray[np.floating], other: NDArray[np.floating], is_read: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The share of the N_TOP genes of highest |attribution| that two explanations share: (n_cells,).

    For a cell of which the model reads fewer genes, the share of half of them.
    """
    found = []
    for a, b, some in zip(np.abs(one), np.abs(other), is_read, strict=True):
        n = max(1, min(N_TOP, int(some.sum()) // 2))
        tops = (set(np.argsort(-each[some], kind="stable")[:n].tolist()) for each in (a, b))
        found.append(len(set.intersection(*tops)) / n)
    return np.array(found)


def l1_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """The L1 distance of two explanations, each scaled to absolute values that add up to 1: (n_cells,), 0 to 2."""
    with np.errstate(invalid="ignore"):
        scaled = [each / np.abs(each).sum(axis=1, keepdims=True) for each in (one, other)]
    return np.asarray(np.abs(scaled[0] - scaled[1]).sum(axis=1), np.float64)


def weights_by_layer(model: CellModel) -> list[list[torch.Tensor]]:
    """The weight matrices of each layer, from genes to embedding.

    The first layer of a transformer is how a token enters. Raises ModelError for a model of another kind.
    """
    if isinstance(model, FeedForward):
        return [[each.weight] for each in (model.first, *model.tail) if isinstance(each, nn.Linear)]
    if isinstance(model, TokenModel):
        layers: list[list[torch.Tensor]] = [list(layer.parameters()) for layer in model.network.layers]
        inside = {id(weight) for layer in layers for weight in layer}
        entry: list[torch.Tensor] = [weight for weight in model.network.parameters() if id(weight) not in inside]
        layers.insert(0, entry)
        return [[weight for weight in layer if weight.dim() > 1] for layer in layers]
    raise ModelError(
        f"Model {model.name} is neither a chain of layers nor a transformer of tokens, so its weights cannot be "
        "shuffled by layer."
    )


def shuffle_weights(model: CellModel, n_last: int, seed: int) -> CellModel:
    """A copy of a model in which the weights of each of the last layers are permuted at random.

    This is the cascade of Adebayo et al. (Sanity checks for saliency maps, 2018), which begins at the embedding.
    """
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for layer in weights_by_layer(shuffled)[-n_last:]:
        for weight in layer:
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.data = weight.detach().flatten()[order].view(weight.shape)
    # A chain of layers has the weights of its first layer by gene in memory.
    return replace(shuffled) if isinstance(shuffled, FeedForward) else shuffled
