"""DeepLIFT with the Rescale rule (Shrikumar 2017) in closed form, for affine and elementwise layers.

The rule replaces each activation by the straight line through its values at the cell and at the baseline. The
multipliers are the gradient of the network with these lines. Captum 0.9 has no rule for PReLU, SELU, GELU, SiLU and
abs and silently uses the plain gradient there, so it is not used. The tests compare this module with Captum, to which
they add the missing rules.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from ingest.models.layers import AFFINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ["multipliers"]

# Inputs closer than this count as equal: the slope is then the derivative.
SAME = 1e-6


def multipliers(layers: nn.Sequential, point: Tensor, baseline: Tensor, reference: Tensor, *, is_dot: bool) -> Tensor:
    """Multipliers of sum_d r_d z_d (is_dot) or of sum_d |r_d z_d|, at `point` against `baseline`.

    layers: from point (n, n_hidden) to z (n, latent_dim); affine in eval mode, or elementwise. reference: r,
    (n, latent_dim). Returns (n, n_hidden) float32. Times (point - baseline), it adds up to the difference of the
    scalar.

    Computes in double precision where the device has it: the quotient of two small differences has too few digits
    otherwise.
    """
    precision = torch.float32 if point.device.type == "mps" else torch.float64
    layers = copy.deepcopy(layers).to(precision)
    point, baseline, reference = (each.detach().to(precision) for each in (point, baseline, reference))
    point.requires_grad_()
    here, there = point, baseline.expand_as(point)
    for layer in layers:
        here, there = layer(here) if isinstance(layer, AFFINE) else secant_line(layer, here, there), layer(there)
    here, there = here * reference, there * reference
    total = here if is_dot else secant_line(torch.abs, here, there)
    (gradient,) = torch.autograd.grad(total.sum(), point)
    return gradient.float()


def secant_line(activation: Callable[[Tensor], Tensor], here: Tensor, there: Tensor) -> Tensor:
    """The line through the activation's values at `there` and `here`, evaluated at `here`; its slope is a constant."""
    return activation(there) + slope(activation, here.detach(), there) * (here - there)


def slope(activation: Callable[[Tensor], Tensor], here: Tensor, there: Tensor) -> Tensor:
    """(activation(here) - activation(there)) / (here - there), or the derivative where the two are equal."""
    difference = here - there
    is_same = difference.abs() < SAME
    point = here.clone().requires_grad_()
    with torch.enable_grad():
        value = activation(point)
        (derivative,) = torch.autograd.grad(value.sum(), point)
    secant = (value.detach() - activation(there)) / torch.where(is_same, torch.ones_like(difference), difference)
    return torch.where(is_same, derivative, secant)
