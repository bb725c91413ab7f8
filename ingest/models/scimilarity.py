"""SCimilarity encoders (Heimberg et al. 2024): `encoder.ckpt` and `gene_order.tsv`, as the package writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingest.models.checkpoint import fingerprint, read_checkpoint, tensors_of
from ingest.models.core import FeedForward, Normalisation, feed_forward
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ingest.models.layers import LayerSpec

__all__ = ["load_scimilarity"]

WEIGHTS = "encoder.ckpt"
GENES = "gene_order.tsv"

# network.<block>.<position in block>.<tensor>: dropout 0, linear 1, batch norm 2, PReLU 3; the last block is a Linear.
BLOCK = {1: "Linear", 2: "BatchNorm1d", 3: "PReLU"}
KEY = re.compile(r"network\.(\d+)\.(?:(\d+)\.)?(\w+)")


def load_scimilarity(folder: Path) -> FeedForward:
    """Read a SCimilarity model folder; only the two files above are needed. Nothing in it is executed.

    Layer sizes and depth come from the tensors. Input is log1p(counts / total * 1e4) over the model's genes; the
    embedding has unit length.
    """
    try:
        genes = (folder / GENES).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder} is not a SCimilarity model: {error}") from error
    checkpoint = read_checkpoint(folder / WEIGHTS)
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    tensors = tensors_of(state, folder / WEIGHTS)
    layers, names = as_sequential(tensors)
    return feed_forward(
        layers,
        {names[key]: tensor for key, tensor in tensors.items()},
        name=folder.name,
        genes=genes,
        architecture="scimilarity",
        normalisation=Normalisation(target_sum=10_000.0, log1p=True),
        l2_normalised=True,
        sha256=fingerprint([folder / WEIGHTS, "\n".join(genes)]),
    )


def as_sequential(keys: Iterable[str]) -> tuple[list[LayerSpec], dict[str, str]]:
    """The layers behind SCimilarity's tensors, in numeric order, and each tensor's name in an nn.Sequential of them."""
    matches = {key: KEY.fullmatch(key) for key in keys}
    if strange := [key for key, match in matches.items() if match is None]:
        raise ModelError(f"Not the tensors of a SCimilarity encoder: {listed(strange)}.")
    places = {key: (int(match[1]), int(match[2] or 1)) for key, match in matches.items() if match}
    order = sorted(set(places.values()))
    if unknown := [place for place in order if place[1] not in BLOCK]:
        raise ModelError(f"Unknown layers in a SCimilarity encoder: {listed(unknown)}.")
    index = {place: n for n, place in enumerate(order)}
    names = {key: f"{index[place]}.{key.rsplit('.', 1)[1]}" for key, place in places.items()}
    return [BLOCK[position] for _, position in order], names
