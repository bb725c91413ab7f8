"""How alike two explanations of the same cells are, and explanations that should be unlike: of shuffled weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.models import FeedForward

__all__ = ["N_TOP", "l1_distance", "linear_layers", "rank_correlation", "shuffle_weights", "top_overlap"]

N_TOP = 50


def rank_correlation(
    one: NDArray[np.floating], other: NDArray[np.floating], is_expressed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Spearman's correlation of |attributions| over the expressed genes of each cell: (n_cells,).

    All arguments are (n_cells, n_genes). NaN for a cell whose attributions are all equal.
    """
    pairs = zip(np.abs(one), np.abs(other), is_expressed, strict=True)
    return np.array([correlate(a[some], b[some]) for a, b, some in pairs])


def correlate(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's correlation; NaN if it is not defined."""
    return float(spearmanr(a, b).statistic) if len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0 else float("nan")


def top_overlap(
    one: NDArray[np.floating], other: NDArray[np.floating], is_expressed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The share of the N_TOP expressed genes of highest |attribution| that two explanations share: (n_cells,).

    For a cell with fewer expressed genes, the share of half of them.
    """
    found = []
    for a, b, some in zip(np.abs(one), np.abs(other), is_expressed, strict=True):
        n = max(1, min(N_TOP, int(some.sum()) // 2))
        tops = (set(np.argsort(-each[some], kind="stable")[:n].tolist()) for each in (a, b))
        found.append(len(set.intersection(*tops)) / n)
    return np.array(found)


def l1_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """The L1 distance of two explanations, each scaled to absolute values that add up to 1: (n_cells,), 0 to 2."""
    with np.errstate(invalid="ignore"):
        scaled = [each / np.abs(each).sum(axis=1, keepdims=True) for each in (one, other)]
    return np.asarray(np.abs(scaled[0] - scaled[1]).sum(axis=1), np.float64)


def linear_layers(model: FeedForward) -> list[nn.Linear]:
    """The linear layers of a model, from genes to embedding."""
    return [model.first, *(layer for layer in model.tail if isinstance(layer, nn.Linear))]


def shuffle_weights(model: FeedForward, n_last: int, seed: int) -> FeedForward:
    """A copy of a model in which the weights of each of the last linear layers are permuted at random.

    This is the cascade of Adebayo et al. (Sanity checks for saliency maps, 2018), which begins at the embedding.
    """
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for layer in linear_layers(shuffled)[-n_last:]:
        weight = layer.weight.detach()
        order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
        layer.weight = nn.Parameter(weight.flatten()[order].view(weight.shape), requires_grad=False)
    return replace(shuffled)  # arranges the weights of the first layer by gene again
