"""SSL-scTab encoders (Richter et al. 2024): a Lightning checkpoint or bare state dict, and `var.parquet`.

The activation is not in the file; it follows from how the repository (ssl_in_scg) makes the network, which the prefix
of the tensors tells. Autoencoders, BYOL and Barlow Twins use SELU and embed by the last linear layer. The classifier
leaves torch's MLP at ReLU, and its embedding is what comes out of the ReLU before the layer of the classes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.models.checkpoint import fingerprint, read_checkpoint_inert, tensors_of
from ingest.models.core import FeedForward, Normalisation, feed_forward
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ingest.models.layers import LayerSpec

__all__ = ["load_ssl"]

GENES = "var.parquet"
SUFFIXES = (".ckpt", ".pt", ".pth")
KINDS = {"encoder": "autoencoder", "inner_model": "BYOL", "backbone": "Barlow Twins", "classifier": "classifier"}
KEY = re.compile(rf"({'|'.join(KINDS)})\.(\d+)\.(weight|bias)")


def load_ssl(path: Path) -> FeedForward:
    """Read an SSL-scTab checkpoint: the file itself, or the folder that holds it alone, `var.parquet` beside it.

    Genes are the Ensembl ids of `var.parquet` (column feature_id). Input is log1p(counts / total * 1e4) over them; the
    embedding is not normalised.
    """
    checkpoint_path = find_checkpoint(path)
    genes = read_genes(checkpoint_path.parent / GENES)
    checkpoint = read_checkpoint_inert(checkpoint_path)
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    kind, layers, tensors = as_sequential(tensors_of(state, checkpoint_path), checkpoint_path)
    return feed_forward(
        layers,
        tensors,
        name=checkpoint_path.stem,
        genes=genes,
        architecture="ssl",
        normalisation=Normalisation(target_sum=10_000.0, log1p=True),
        l2_normalised=False,
        sha256=fingerprint([checkpoint_path, "\n".join(genes)]),
        description=f"SSL-scTab {kind}",
    )


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a path means; ModelError if a folder has none, or several."""
    if not path.is_dir():
        return path
    found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    if len(found) != 1:
        names = f": {listed(each.name for each in found)}" if found else ""
        raise ModelError(
            f"{path} is not a folder of one SSL-scTab model: it has {len(found)} checkpoints{names}. "
            "Name the file instead of the folder."
        )
    return found[0]


def read_genes(path: Path) -> list[str]:
    """The Ensembl ids of scTab's gene table, in order."""
    try:
        genes: list[str] = pq.read_table(path, columns=["feature_id"])["feature_id"].to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ModelError(
            f"{path}, the gene table of scTab with a column feature_id, cannot be read: {error}"
        ) from error
    return genes


def as_sequential(state: dict[str, Tensor], path: Path) -> tuple[str, list[LayerSpec], dict[str, Tensor]]:
    """Kind of network, its layers up to the embedding, and their tensors. A Linear is followed by act, dropout."""
    matches = {key: match for key in state if (match := KEY.fullmatch(key))}
    prefixes = {match[1] for match in matches.values()}
    if len(prefixes) != 1:
        raise ModelError(
            f"{path} is not one SSL-scTab network: its tensors must begin with one of {', '.join(KINDS)}, "
            f"and begin with {listed(sorted({key.split('.')[0] for key in state}))}."
        )
    (prefix,) = prefixes
    numbers = sorted({int(match[2]) for match in matches.values()})
    is_classifier = prefix == "classifier"
    numbers = numbers[:-1] if is_classifier else numbers
    layers: list[LayerSpec] = ["Linear", "ReLU" if is_classifier else "SELU"] * len(numbers)
    place = {number: 2 * n for n, number in enumerate(numbers)}
    tensors = {f"{place[int(m[2])]}.{m[3]}": state[key] for key, m in matches.items() if int(m[2]) in place}
    return KINDS[prefix], layers if is_classifier else layers[:-1], tensors
