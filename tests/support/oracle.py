"""The reference for attributions: Captum on the whole model, from dense genes to one scalar per cell."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import torch
from captum.attr import DeepLift, InputXGradient, IntegratedGradients
from captum.attr._core.deep_lift import nonlinear
from torch import nn

from ingest.models.tokens import TokenModel

RULE_MISSING_IN_CAPTUM = (nn.PReLU, nn.SELU, nn.GELU, nn.SiLU)


class Abs(nn.Module):
    """|x| as a module, so that DeepLIFT can have a rule for it."""

    def forward(self, x):
        return x.abs()


class Whole(nn.Module):
    """The explained scalar of each cell, (n,), from inputs (n, n_genes) and reference (n, latent_dim)."""

    def __init__(self, model, summation):
        super().__init__()
        self.layers = nn.Sequential(model.first, *model.tail)
        self.is_unit = model.l2_normalised and summation == "published"
        self.last = Abs() if summation == "published" else nn.Identity()

    def embed(self, inputs):
        z = self.layers(inputs)
        return nn.functional.normalize(z, dim=1) if self.is_unit else z

    def forward(self, inputs, reference):
        return self.last(self.embed(inputs) * reference).sum(dim=1)


class RescaledDeepLift(DeepLift):
    """Captum's DeepLIFT, with its Rescale rule also for the activations that it silently ignores."""

    def _is_non_linear(self, module):
        return super()._is_non_linear(module) or isinstance(module, (*RULE_MISSING_IN_CAPTUM, Abs))

    def _backward_hook(self, module, grad_input, grad_output):
        if super()._is_non_linear(module):
            return super()._backward_hook(module, grad_input, grad_output)
        found = nonlinear(module, module.input, module.output, grad_input, grad_output, eps=self.eps)
        del module.input, module.output
        return found


def captum_on_the_whole_model(model, x, method, baseline=None):
    """Attributions (n, n_genes) and completeness delta (n,) of a method, computed by Captum in float64."""
    net = copy.deepcopy(Whole(model, method.summation)).double()
    inputs = torch.from_numpy(x.toarray()).double()
    origin = torch.zeros_like(inputs[:1]) if baseline is None else torch.from_numpy(baseline.toarray()).double()
    origin = origin.expand_as(inputs).contiguous()
    with torch.no_grad():
        reference = net.embed(inputs)
        explained = (net(inputs, reference) - net(origin, reference)).numpy()
    arguments = {"additional_forward_args": (reference,)}
    if method.name == "ig":
        rule = {"n_steps": method.n_steps, "method": method.quadrature}
        values = IntegratedGradients(net).attribute(inputs, baselines=origin, **arguments, **rule)
    elif method.name == "ixg":
        values = InputXGradient(net).attribute(inputs.requires_grad_(), **arguments)
    else:
        with warnings.catch_warnings(action="ignore"):  # about the hooks that it sets
            values = RescaledDeepLift(net, eps=1e-6).attribute(
                inputs.requires_grad_(), baselines=origin.requires_grad_(), **arguments
            )
    values = values.detach().numpy()
    return values, values.sum(axis=1, dtype=np.float64) - explained


def captum_on_any_model(model, x, method):
    """Attributions (n, n_genes) of prepared cells by Captum on the whole model in float64."""
    if isinstance(model, TokenModel):
        return captum_on_tokens(model, x, method)
    return captum_on_the_whole_model(model, x, method)[0]


def captum_on_tokens(model, x, method):
    """Attributions (n, n_genes) of a transformer, one cell after the other, computed by Captum in float64.

    x: (n, n_genes), the prepared cells. A value is that of a gene's token; of several dimensions, their sum.
    """
    network = copy.deepcopy(model.network).double()
    found = np.zeros(x.shape)
    for cell in range(x.shape[0]):
        batch = model.tokens(x[cell])
        batch = batch._replace(values=batch.values.double())
        point, origin = network.begin(batch)

        def embed(points, batch=batch):
            z = network(points, batch)
            return nn.functional.normalize(z) if model.l2_normalised and method.summation == "published" else z

        own = embed(point).detach()

        def explained(points, own=own, embed=embed):
            terms = embed(points) * own
            return (terms.abs() if method.summation == "published" else terms).sum(1)

        point = point.detach().requires_grad_()
        if method.name == "ig":
            rule = {"n_steps": method.n_steps, "method": method.quadrature, "internal_batch_size": 5}
            values = IntegratedGradients(explained).attribute(point, baselines=origin, **rule)
        else:
            values = InputXGradient(explained).attribute(point) * (point != origin)
        values = values.flatten(2).sum(2)[0] if values.dim() > 2 else values[0]
        is_gene = batch.entries[0] >= 0
        found[cell, x[cell].indices[batch.entries[0][is_gene]]] = values[is_gene].detach()
    return found
