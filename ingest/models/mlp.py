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
import math
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

ACTIVATIONS = {
    each.__name__: each
    for each in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
}


def _linear(tensors: Mapping[str, Tensor]) -> nn.Linear:
    n_out, n_in = tensors["weight"].shape  # ValueError if it is no matrix
    return nn.Linear(n_in, n_out, bias="bias" in tensors)


def _batch_norm(tensors: Mapping[str, Tensor], eps: float = 1e-5) -> nn.BatchNorm1d:
    if not (isinstance(eps, float) and eps >= 0):
        raise ValueError(f"eps must be a number of 0 or more, not {eps!r}")
    if (tensors["running_var"] < 0).any():
        raise ValueError("running_var is negative")
    return nn.BatchNorm1d(len(tensors["running_mean"]), eps=eps, affine="weight" in tensors)


def _prelu(tensors: Mapping[str, Tensor]) -> nn.PReLU:
    return nn.PReLU(len(tensors["weight"]))


# Layers whose size is read off their tensors.
SIZED: dict[str, Callable[..., nn.Module]] = {"Linear": _linear, "BatchNorm1d": _batch_norm, "PReLU": _prelu}


def load_mlp(folder: Path) -> CellModel:
    """Read a model in the generic MLP format. Raises ModelError with what is missing or does not fit."""
    text, spec = read_description(folder / DESCRIPTION)
    try:
        tensors = {key: tensor.float() for key, tensor in load_file(folder / WEIGHTS).items()}
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder / WEIGHTS} cannot be read: {error}") from error
    first, tail = split_first_linear(build_layers(spec["layers"], tensors, spec["name"]), spec["name"])
    return CellModel(
        name=spec["name"],
        architecture="mlp",
        gene_ids=tuple(spec["genes"]),
        normalisation=Normalisation(**spec["normalisation"]),
        first=first,
        tail=tail,
        l2_normalised=spec["l2_normalised"],
        sha256=hashlib.sha256(text + (folder / WEIGHTS).read_bytes()).hexdigest(),
        description=spec.get("description"),
    )


def read_description(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Read and check model.json; ModelError names what is missing, unknown, or of another type."""
    try:
        text = path.read_bytes()
        spec = json.loads(text)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(spec, dict) or spec.get("format") != "sigdb-mlp" or spec.get("version") != 1:
        raise ModelError(f'{path} must say "format": "sigdb-mlp", "version": 1.')
    if missing := sorted(CHECKS.keys() - spec.keys()):
        raise ModelError(f"{path} lacks {', '.join(missing)}.")
    if unknown := sorted(spec.keys() - CHECKS.keys() - OTHERS):
        raise ModelError(f"{path} has {', '.join(unknown)}, which means nothing in this format.")
    for key, (is_right, should_be) in CHECKS.items():
        if not is_right(spec[key]):
            raise ModelError(f"{path}: {key} must be {should_be}.")
    return text, spec


def is_names(value: Any) -> bool:
    """Whether a value is a list of names, none empty."""
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)


def is_normalisation(value: Any) -> bool:
    """Whether a value is an input recipe: a positive target_sum, or null, and log1p."""
    if not isinstance(value, dict) or value.keys() != {"target_sum", "log1p"} or not isinstance(value["log1p"], bool):
        return False
    target = value["target_sum"]
    is_number = isinstance(target, int | float) and not isinstance(target, bool)
    return target is None or (is_number and 0 < target < math.inf)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda value: isinstance(value, str) and bool(value), "a text"),
    "genes": (is_names, "a list of names"),
    "normalisation": (
        is_normalisation,
        "an object with target_sum (a positive number, or null) and log1p (true or false)",
    ),
    "layers": (lambda value: isinstance(value, list), "a list of layers"),
    "l2_normalised": (lambda value: isinstance(value, bool), "true or false"),
}
OTHERS = {"format", "version", "description"}


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
    options = dict(spec) if isinstance(spec, dict) else {"type": spec}
    kind = options.pop("type", None)
    own = {key.removeprefix(f"{number}."): tensor for key, tensor in tensors.items() if key.startswith(f"{number}.")}
    try:
        if isinstance(kind, str) and kind in SIZED:
            return SIZED[kind](own, **options)
        if isinstance(kind, str) and kind in ACTIVATIONS:
            return ACTIVATIONS[kind](**options)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"Layer {number} ({kind}) of model {name} cannot be made: {error}") from error
    known = ", ".join([*SIZED, *ACTIVATIONS])
    raise ModelError(f"Layer {number} of model {name} is {kind!r}; known layers are {known}.")
