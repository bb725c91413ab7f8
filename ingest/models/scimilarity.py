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
KEY = re.compile(r"network\.(\d{1,6})\.(?:(\d{1,6})\.)?(\w+)")


def load_scimilarity(folder: Path) -> FeedForward:
    """Read a SCimilarity model folder. Only these two files are needed, and nothing in them is executed.

    The tensors give the number and sizes of the layers. The input is log1p(counts / total * 1e4) over the model's
    genes, and the embedding has unit length.
    """
    try:
        genes = (folder / GENES).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder} is not a SCimilarity model: {error}") from error
    checkpoint = read_checkpoint(folder / WEIGHTS)
    if not isinstance(checkpoint, dict) or checkpoint.keys() != {"state_dict"}:
        found = listed(map(str, checkpoint)) if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise ModelError(
            f"{folder / WEIGHTS} must hold a state_dict and nothing else, as SCimilarity writes it: {found}."
        )
    tensors = tensors_of(checkpoint["state_dict"], folder / WEIGHTS)
    layers, names = to_sequential(tensors)
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


def to_sequential(keys: Iterable[str]) -> tuple[list[LayerSpec], dict[str, str]]:
    """The layers of SCimilarity's tensors, in order, and the name of each tensor in an nn.Sequential of them."""
    matches = {key: KEY.fullmatch(key) for key in keys}
    if strange := [key for key, match in matches.items() if match is None]:
        raise ModelError(f"These are not tensors of a SCimilarity encoder: {listed(strange)}.")
    positions = {key: (int(match[1]), int(match[2] or 1)) for key, match in matches.items() if match}
    order = sorted(set(positions.values()))
    last = max(block for block, _ in order) if order else 0
    wanted = [(block, part) for block in range(last) for part in BLOCK] + [(last, 1)]
    if order != wanted:
        odd = sorted({*order} ^ {*wanted})
        raise ModelError(
            f"The SCimilarity encoder has other layers than {', '.join(BLOCK.values())} in each hidden block and one "
            f"Linear at the end: {len(odd)} differ, as block and position {listed(odd)}."
        )
    number = {position: n for n, position in enumerate(order)}
    names = {key: f"{number[position]}.{key.rsplit('.', 1)[1]}" for key, position in positions.items()}
    return [BLOCK[kind] for _, kind in order], names
