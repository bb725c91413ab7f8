"""The generic MLP format: `model.json` describes the layers, `model.safetensors` holds their weights.

docs/mlp-format.md describes the format for people who write such models. In short:

    {"format": "sigdb-mlp", "version": 1, "name": "my-encoder", "description": "...",
     "genes": ["A1BG", ...],
     "normalisation": {"target_sum": 10000, "log1p": true},
     "layers": ["Linear", {"type": "BatchNorm1d", "eps": 1e-05}, "PReLU", "Linear"],
     "l2_normalised": true}

`genes` are symbols or Ensembl ids, in input order. `target_sum` is the total that the counts of a cell are scaled to,
or null. The tensors are named as in a torch `nn.Sequential` of the layers: `0.weight`, `0.bias`, `1.running_mean`, ...
Their shapes give the sizes of the layers. They may have any floating-point type and are used as float32.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from safetensors.torch import save as tensors_as_bytes
from torch import nn

from ingest.models.checkpoint import fingerprint, read_json, read_safetensors
from ingest.models.core import CellModel, FeedForward, Normalisation, feed_forward
from sigdb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["load_mlp", "save_mlp"]

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


def load_mlp(folder: Path) -> FeedForward:
    """Read a model in the generic MLP format; ModelError names what is missing or does not fit."""
    spec = read_description(folder / DESCRIPTION)
    return feed_forward(
        spec["layers"],
        read_safetensors(folder / WEIGHTS),
        name=spec["name"],
        genes=spec["genes"],
        architecture="mlp",
        normalisation=Normalisation(**spec["normalisation"]),
        l2_normalised=spec["l2_normalised"],
        sha256=fingerprint([folder / DESCRIPTION, folder / WEIGHTS]),
        description=spec.get("description"),
    )


def save_mlp(model: CellModel, folder: Path) -> None:
    """Write a model in the generic MLP format into a new folder; ModelError if the format cannot describe it.

    The copy gives the same embeddings and attributions. Fixed covariates stay fixed.
    """
    if not isinstance(model, FeedForward):
        raise ModelError(
            f"Model {model.name} ({model.architecture}) is not a chain of layers over genes, so the generic MLP "
            "format cannot describe it. Use the files of the model itself: sigdb reads them as they are."
        )
    spec = {
        "format": "sigdb-mlp",
        "version": 1,
        "name": model.name,
        "description": model.description or f"Exported from a {model.architecture} model.",
        "genes": list(model.gene_ids),
        "normalisation": {"target_sum": model.normalisation.target_sum, "log1p": model.normalisation.log1p},
        "layers": list(model.layers),
        "l2_normalised": model.l2_normalised,
    }
    tensors = {key: tensor.contiguous() for key, tensor in nn.Sequential(model.first, *model.tail).state_dict().items()}
    try:
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(tensors_as_bytes(tensors))
        (folder / DESCRIPTION).write_text(json.dumps(spec, indent=1), encoding="utf-8")
    except FileExistsError as error:
        raise ModelError(f"{folder} exists already. Name a new folder.") from error
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error}") from error


def read_description(path: Path) -> dict[str, Any]:
    """Read and check model.json; ModelError names keys that are missing, unknown or of the wrong type."""
    spec = read_json(path)
    if not isinstance(spec, dict) or spec.get("format") != "sigdb-mlp" or spec.get("version") != 1:
        raise ModelError(f'{path} must say "format": "sigdb-mlp", "version": 1.')
    if missing := sorted(CHECKS.keys() - spec.keys()):
        raise ModelError(f"{path} lacks {', '.join(missing)}.")
    if unknown := sorted(spec.keys() - CHECKS.keys() - OTHERS):
        raise ModelError(f"{path} has the unknown keys {', '.join(unknown)}.")
    for key, (is_right, should_be) in CHECKS.items():
        if not is_right(spec[key]):
            raise ModelError(f"{path}: {key} must be {should_be}.")
    return dict(spec)


def is_names(value: Any) -> bool:
    """Whether a value is a list of non-empty strings."""
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)


def is_normalisation(value: Any) -> bool:
    """Whether a value describes the input: target_sum (positive, or null) and log1p."""
    if not isinstance(value, dict) or value.keys() != {"target_sum", "log1p"} or not isinstance(value["log1p"], bool):
        return False
    target = value["target_sum"]
    is_number = isinstance(target, int | float) and not isinstance(target, bool)
    return target is None or (is_number and 0 < target < math.inf)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda value: isinstance(value, str) and bool(value), "a non-empty string"),
    "genes": (is_names, "a list of names"),
    "normalisation": (
        is_normalisation,
        "an object with target_sum (a positive number, or null) and log1p (true or false)",
    ),
    "layers": (lambda value: isinstance(value, list), "a list of layers"),
    "l2_normalised": (lambda value: isinstance(value, bool), "true or false"),
}
OTHERS = {"format", "version", "description"}
