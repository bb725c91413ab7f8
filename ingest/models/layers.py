"""The layers of encoders: how they are described, and how they are built from their tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from sigdb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["AFFINE", "ELEMENTWISE", "MOST_LAYERS", "LayerSpec", "build_layers"]

# The name of a torch module, or an object with the name as "type" and the options of the module.
LayerSpec = str | dict[str, Any]

# Activations without tensors. They take the same options as in torch.
ACTIVATIONS = {
    each.__name__: each
    for each in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
}
# Layers with a Rescale rule of DeepLIFT: affine in eval mode, or applied to each number separately.
AFFINE = (nn.Linear, nn.BatchNorm1d)
ELEMENTWISE = (nn.PReLU, *ACTIVATIONS.values())


def build_linear(tensors: Mapping[str, Tensor]) -> nn.Linear:
    """Build a linear layer, with or without bias."""
    n_out, n_in = tensors["weight"].shape  # ValueError if the weight is not a matrix
    return nn.Linear(n_in, n_out, bias="bias" in tensors)


def check_eps(eps: float) -> float:
    """Return eps; ValueError if it is not a number of 0 or more."""
    if not (isinstance(eps, float) and eps >= 0):
        raise ValueError(f"eps must be a number of 0 or more, not {eps!r}")
    return eps


def build_batch_norm(tensors: Mapping[str, Tensor], eps: float = 1e-5) -> nn.BatchNorm1d:
    """Build a batch norm; ValueError if a variance is negative."""
    if (tensors["running_var"] < 0).any():
        raise ValueError("running_var is negative")
    return nn.BatchNorm1d(len(tensors["running_mean"]), eps=check_eps(eps), affine="weight" in tensors)


def build_layer_norm(tensors: Mapping[str, Tensor], eps: float = 1e-5, size: int | None = None) -> nn.LayerNorm:
    """Build a layer norm. size: the width of a layer without tensors."""
    width = len(tensors["weight"]) if "weight" in tensors else size
    if not isinstance(width, int) or width < 1:
        raise ValueError("a LayerNorm without tensors needs its size")
    affine = "weight" in tensors
    return nn.LayerNorm(width, eps=check_eps(eps), elementwise_affine=affine, bias="bias" in tensors)


def build_prelu(tensors: Mapping[str, Tensor]) -> nn.PReLU:
    """Build a PReLU, with one slope or one per number."""
    return nn.PReLU(len(tensors["weight"]))


# The layers of an encoder, of which published ones have about ten.
MOST_LAYERS = 1000

# Layers that take their size from their tensors.
SIZED: dict[str, Callable[..., nn.Module]] = {
    "Linear": build_linear,
    "BatchNorm1d": build_batch_norm,
    "LayerNorm": build_layer_norm,
    "PReLU": build_prelu,
}


def build_layers(specs: Sequence[LayerSpec], tensors: Mapping[str, Tensor], name: str) -> nn.Sequential:
    """Build layers from their description and their tensors; ModelError if the two do not fit together.

    tensors: named as in a torch `nn.Sequential` of the layers: `0.weight`, `1.running_mean`, ... name: of the model.
    """
    if len(specs) > MOST_LAYERS:
        raise ModelError(f"Model {name} has {len(specs)} layers, and an encoder has {MOST_LAYERS} at most.")
    layers = nn.Sequential(*(build_layer(n, spec, tensors, name) for n, spec in enumerate(specs)))
    try:
        layers.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise ModelError(f"Layers and weights of model {name} do not fit: {error}") from error
    return layers


def build_layer(number: int, spec: LayerSpec, tensors: Mapping[str, Tensor], name: str) -> nn.Module:
    """Build one layer, with the size of its tensors."""
    options: dict[str, Any] = dict(spec) if isinstance(spec, dict) else {"type": spec}
    kind = options.pop("type", None)
    own = {key.removeprefix(f"{number}."): tensor for key, tensor in tensors.items() if key.startswith(f"{number}.")}
    try:
        if odd := [key for key, value in options.items() if isinstance(value, float) and not math.isfinite(value)]:
            raise ValueError(f"{odd[0]} is not a finite number")
        if isinstance(kind, str) and kind in SIZED:
            return SIZED[kind](own, **options)
        if isinstance(kind, str) and kind in ACTIVATIONS:
            # In place, an activation would change the bias of the layer before it, which is an input of the tail.
            return ACTIVATIONS[kind](**{key: value for key, value in options.items() if key != "inplace"})
    except (KeyError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"Layer {number} ({kind}) of model {name} cannot be built: {error!r}") from error
    known = ", ".join([*SIZED, *ACTIVATIONS])
    raise ModelError(f"Layer {number} of model {name} is {kind!r}. Known layers are {known}.")
