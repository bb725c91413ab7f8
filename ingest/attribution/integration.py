"""Integrals along the line from the baseline to a cell, with an estimate of what the chosen points miss.

Captum returns only the sum over all points. The estimate needs the sums over two halves of the points, from the same
evaluations. The tests compare the integral with Captum's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.special import roots_legendre

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from ingest.models.core import Entry
    from ingest.options import Method

__all__ = ["Integral", "integrate", "quadrature_points"]


class Integral(NamedTuple):
    """The mean of a gradient along a line, and half the difference between its means over every other point.

    Both have the shape of the entry's point. half_difference is None if there is only one point.
    """

    mean: Tensor
    half_difference: Tensor | None


@lru_cache
def quadrature_points(rule: str, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points of a quadrature in [0, 1], ascending, and their weights, which add up to 1: (n,) each."""
    if rule == "gausslegendre":
        points, weights = roots_legendre(n)  # numpy's takes 5 s for 3,000 points, in which Ctrl-C has no effect
        return (points + 1) / 2, weights / 2
    shift = {"riemann_left": 0.0, "riemann_middle": 0.5, "riemann_right": 1.0}[rule]
    return (np.arange(n) + shift) / n, np.full(n, 1 / n)


def integrate(gradient: Callable[[Tensor], Tensor], entry: Entry, method: Method, most_rows: int) -> Integral:
    """Integrate a gradient from the baseline of an entry to its point, by the quadrature of a method.

    gradient: from several copies of the batch, stacked, to gradients of the same shape. most_rows: rows of the entry
    that are evaluated at a time, at least one copy of the batch.
    """
    alphas, weights = quadrature_points(method.quadrature, method.n_steps)
    sums = torch.zeros(2, *entry.point.shape, device=entry.point.device)
    rows = torch.tensor(np.stack([weights, half_difference_weights(weights)]), dtype=sums.dtype, device=sums.device)
    n_copies = max(1, most_rows // (len(entry.point) * entry.rows))
    along = torch.tensor(alphas, dtype=sums.dtype, device=sums.device).view(-1, *[1] * entry.point.dim())
    for start in range(0, method.n_steps, n_copies):
        some = slice(start, start + n_copies)
        points = entry.baseline + along[some] * (entry.point - entry.baseline)
        sums += torch.tensordot(rows[:, some], gradient(points.flatten(0, 1)).view_as(points), 1)
    return Integral(sums[0], sums[1] if method.n_steps > 1 else None)


def half_difference_weights(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that give half the difference between the means over every other point; 0 for one point."""
    found = np.zeros_like(weights)
    if len(weights) > 1:
        found[::2] = weights[::2] / weights[::2].sum() / 2
        found[1::2] = -weights[1::2] / weights[1::2].sum() / 2
    return found
