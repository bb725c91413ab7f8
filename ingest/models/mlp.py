"""Generic MLP models: `model.json` says what the layers are, `model.safetensors` holds their weights.

    {"format": "sigdb-mlp", "version": 1, "name": "my-encoder", "description": "...",
     "genes": ["A1BG", ...],
     "normalisation": {"target_sum": 10000, "log1p": true},
     "layers": ["Linear", {"type": "BatchNorm1d", "eps": 1e-05}, "PReLU", "Linear"],
     "l2_normalised": true}

`genes` are symbols or Ensembl ids, in input order. `target_sum` is the total that counts are scaled to, or null. The
tensors are those of a torch `nn.Sequential` of the layers: `0.weight`, `0.bias`, `1.running_mean`, ... Sizes are
read off them. Stored as any float type, used as float32.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import safetensors
from safetensors.torch import load_file
from torch import Tensor, nn

from ingest.models.core import CellModel, Normalisation, split_first_linear
from sigdb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["load_mlp"]

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
NEEDED = {"format", "version", "name", "genes", "normalisation", "layers", "l2_normalised"}
OPTIONAL = {"description"}

ACTIVATIONS = {
    each.__name__: each
    for each in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
}


def _linear(tensors: Mapping[str, Tensor]) -> nn.Linear:
    n_out, n_in = tensors["weight"].shape
    return nn.Linear(n_in, n_out, bias="bias" in tensors)


def _batch_norm(tensors: Mapping[str, Tensor], eps: float = 1e-5) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(len(tensors["running_mean"]), eps=eps, affine="weight" in tensors)


def _prelu(tensors: Mapping[str, Tensor]) -> nn.PReLU:
    return nn.PReLU(len(tensors["weight"]))


# Layers whose size is read off their tensors.
SIZED: dict[str, Callable[..., nn.Module]] = {"Linear": _linear, "BatchNorm1d": _batch_norm, "PReLU": _prelu}


def load_mlp(folder: Path) -> CellModel:
    """Read a model in the generic MLP format. Raises ModelError with what is missing or does not fit."""
    try:
        text = (folder / DESCRIPTION).read_bytes()
        spec = json.loads(text)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / DESCRIPTION} cannot be read: {error}") from error
    if spec.get("format") != "sigdb-mlp" or spec.get("version") != 1:
        raise ModelError(f'{folder / DESCRIPTION} must say "format": "sigdb-mlp", "version": 1.')
    if missing := sorted(NEEDED - spec.keys()):
        raise ModelError(f"{folder / DESCRIPTION} lacks {', '.join(missing)}.")
    if unknown := sorted(spec.keys() - NEEDED - OPTIONAL):
        raise ModelError(f"{folder / DESCRIPTION} has {', '.join(unknown)}, which means nothing in this format.")
    try:
        tensors = {key: tensor.float() for key, tensor in load_file(folder / WEIGHTS).items()}
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder / WEIGHTS} cannot be read: {error}") from error
    layers = build_layers(spec["layers"], tensors, spec["name"])
    first, tail = split_first_linear(layers, spec["name"])
    return CellModel(
        name=spec["name"],
        architecture="mlp",
        gene_ids=tuple(spec["genes"]),
        normalisation=normalisation(spec["normalisation"], folder),
        first=first,
        tail=tail,
        l2_normalised=bool(spec["l2_normalised"]),
        sha256=hashlib.sha256(text + (folder / WEIGHTS).read_bytes()).hexdigest(),
        description=spec.get("description"),
    )


def normalisation(spec: dict[str, Any], folder: Path) -> Normalisation:
    """Read the input recipe; ModelError if it says anything but target_sum (a positive number or null) and log1p."""
    target = spec.get("target_sum")
    if spec.keys() != {"target_sum", "log1p"} or not (
        target is None or (isinstance(target, int | float) and target > 0)
    ):
        raise ModelError(f"{folder / DESCRIPTION}: normalisation must be a target_sum (or null) and log1p, not {spec}.")
    return Normalisation(target, bool(spec["log1p"]))


def build_layers(specs: list[Any], tensors: Mapping[str, Tensor], name: str) -> nn.Sequential:
    """Make the layers a description names, with the weights of their tensors; ModelError where the two disagree."""
    layers = nn.Sequential(*(build_layer(n, spec, tensors, name) for n, spec in enumerate(specs)))
    try:
        layers.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise ModelError(f"Layers and weights of model {name} do not fit: {error}") from error
    return layers


def build_layer(number: int, spec: Any, tensors: Mapping[str, Tensor], name: str) -> nn.Module:
    """Make one layer, its size read off its tensors."""
    options = {"type": spec} if isinstance(spec, str) else dict(spec)
    kind = options.pop("type", None)
    own = {key.removeprefix(f"{number}."): tensor for key, tensor in tensors.items() if key.startswith(f"{number}.")}
    try:
        if kind in SIZED:
            return SIZED[kind](own, **options)
        if kind in ACTIVATIONS:
            return ACTIVATIONS[kind](**options)
    except (KeyError, TypeError) as error:
        raise ModelError(f"Layer {number} ({kind}) of model {name} cannot be made: {error}") from error
    known = ", ".join([*SIZED, *ACTIVATIONS])
    raise ModelError(f"Layer {number} of model {name} is {kind!r}; known layers are {known}.")
