"""SCimilarity encoders (Heimberg et al. 2024): `encoder.ckpt` and `gene_order.tsv`, as the package writes them."""

from __future__ import annotations

import hashlib
import re
from pickle import UnpicklingError  # the exception only: torch does the unpickling, weights only
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ingest.models.core import CellModel, Normalisation, split_first_linear
from ingest.models.mlp import build_layers
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_scimilarity"]

WEIGHTS = "encoder.ckpt"
GENES = "gene_order.tsv"

# network.<block>.<position in block>.<tensor>: dropout 0, linear 1, batch norm 2, PReLU 3; the last block is a Linear.
BLOCK = {1: "Linear", 2: "BatchNorm1d", 3: "PReLU"}
KEY = re.compile(r"network\.(\d+)\.(?:(\d+)\.)?(\w+)")


def load_scimilarity(folder: Path) -> CellModel:
    """Read a SCimilarity model folder; only the two files above are needed. Nothing in it is executed.

    Layer sizes and depth come from the tensors. Input is log1p(counts / total * 1e4) over the model's genes; the
    embedding has unit length.
    """
    try:
        weights = (folder / WEIGHTS).read_bytes()
        genes = (folder / GENES).read_text(encoding="utf-8").split()
        checkpoint = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{folder} is not a SCimilarity model: {error}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{folder / WEIGHTS} is not a checkpoint of plain tensors; not loaded: {reason}") from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not state:
        raise ModelError(f"{folder / WEIGHTS} holds no state_dict.")
    kinds, tensors = as_sequential(state)
    first, tail = split_first_linear(build_layers(kinds, tensors, folder.name), folder.name)
    return CellModel(
        name=folder.name,
        architecture="scimilarity",
        gene_ids=tuple(genes),
        normalisation=Normalisation(target_sum=10_000.0, log1p=True),
        first=first,
        tail=tail,
        l2_normalised=True,
        sha256=hashlib.sha256(weights + "\n".join(genes).encode()).hexdigest(),
    )


def as_sequential(state: dict[str, Tensor]) -> tuple[list[Any], dict[str, Tensor]]:
    """Rename SCimilarity's tensors to those of an nn.Sequential; return its layer kinds and the tensors."""
    matches = {key: KEY.fullmatch(key) for key in state}
    if strange := [key for key, match in matches.items() if match is None]:
        raise ModelError(f"Not the tensors of a SCimilarity encoder: {listed(strange)}.")
    places = {key: (int(match[1]), int(match[2] or 1)) for key, match in matches.items() if match}
    order = sorted(set(places.values()))
    if unknown := [place for place in order if place[1] not in BLOCK]:
        raise ModelError(f"Unknown layers in a SCimilarity encoder: {listed(unknown)}.")
    index = {place: n for n, place in enumerate(order)}
    tensors = {f"{index[places[key]]}.{key.rsplit('.', 1)[1]}": tensor.float() for key, tensor in state.items()}
    return [BLOCK[position] for _, position in order], tensors
