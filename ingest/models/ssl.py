"""SSL-scTab encoders (Richter et al. 2024): a Lightning checkpoint or bare state dict, and `var.parquet`.

The tensors do not show the activation. It follows from their prefix, which shows how the repository (ssl_in_scg) builds
the network. Autoencoders, BYOL and Barlow Twins use SELU, and their embedding is the output of the last linear layer.
The classifier uses ReLU, the default of torch's MLP, and its embedding is the output of the ReLU before the layer of
the classes. A checkpoint whose hyperparameters name another activation is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.models.checkpoint import fingerprint, global_name, read_checkpoint_inert, tensors_of
from ingest.models.core import FeedForward, Normalisation, feed_forward
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ingest.models.layers import LayerSpec

__all__ = ["load_ssl"]

GENES = "var.parquet"
MOST_GENES = 1_000_000
SUFFIXES = (".ckpt", ".pt", ".pth")
KINDS = {"encoder": "autoencoder", "inner_model": "BYOL", "backbone": "Barlow Twins", "classifier": "classifier"}
KEY = re.compile(rf"({'|'.join(KINDS)})\.(\d{{1,6}})\.(weight|bias)")


def load_ssl(path: Path) -> FeedForward:
    """Read an SSL-scTab checkpoint. path: the file, or a folder with a single checkpoint.

    The genes are the Ensembl ids in `var.parquet` (column feature_id), in the same folder. The input is
    log1p(counts / total * 1e4) over these genes, and the embedding is not normalised.
    """
    checkpoint_path = find_checkpoint(path)
    genes = read_genes(checkpoint_path.parent / GENES)
    checkpoint = read_checkpoint_inert(checkpoint_path)
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    kind, layers, tensors = to_sequential(tensors_of(state, checkpoint_path), checkpoint_path)
    if state is not checkpoint:
        check_activation(checkpoint.get("hyper_parameters"), layers, checkpoint_path)
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
    """The checkpoint at a path; ModelError if a folder does not have exactly one."""
    if not path.is_dir():
        return path
    found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    if len(found) != 1:
        names = f": {listed(each.name for each in found)}" if found else ""
        raise ModelError(
            f"{path} is not a folder with one SSL-scTab model: it has {len(found)} checkpoints{names}. "
            "Name the file instead of the folder."
        )
    return found[0]


def read_genes(path: Path) -> list[str]:
    """The Ensembl ids of scTab's gene table, in order."""
    try:
        n_genes = pq.read_metadata(path).num_rows
        if n_genes > MOST_GENES:
            raise ModelError(f"{path} has {n_genes} rows, and a model has {MOST_GENES} genes at most.")
        genes: list[str] = pq.read_table(path, columns=["feature_id"])["feature_id"].to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ModelError(
            f"{path}, the gene table of scTab with a column feature_id, cannot be read: {error}"
        ) from error
    return genes


def to_sequential(state: dict[str, Tensor], path: Path) -> tuple[str, list[LayerSpec], dict[str, Tensor]]:
    """The kind of network, its layers up to the embedding, and their tensors."""
    prefixes = {key.partition(".")[0] for key in state} & KINDS.keys()
    if len(prefixes) != 1:
        raise ModelError(
            f"{path} is not an SSL-scTab network: the names of its tensors must begin with one of {', '.join(KINDS)}, "
            f"but begin with {listed(sorted({key.split('.')[0] for key in state}))}."
        )
    (prefix,) = prefixes
    matches = {key: KEY.fullmatch(key) for key in state if key.startswith(f"{prefix}.")}
    if unknown := [key for key, match in matches.items() if match is None]:
        raise ModelError(
            f"{path} has {len(unknown)} tensors that are not of a chain of linear layers: {listed(unknown)}. sigdb "
            "does not know how such a network computes its embedding."
        )
    found = {key: (int(match[2]), match[3]) for key, match in matches.items() if match}
    numbers = sorted({number for number, _ in found.values()})
    is_classifier = prefix == "classifier"
    numbers = numbers[:-1] if is_classifier else numbers
    layers: list[LayerSpec] = ["Linear", "ReLU" if is_classifier else "SELU"] * len(numbers)
    position = {number: 2 * n for n, number in enumerate(numbers)}  # each Linear is followed by its activation
    tensors = {f"{position[n]}.{part}": state[key] for key, (n, part) in found.items() if n in position}
    return KINDS[prefix], layers if is_classifier else layers[:-1], tensors


def check_activation(options: Any, layers: list[LayerSpec], path: Path) -> None:
    """Raise ModelError if hyperparameters, at any depth, name another activation than the network is read with."""
    for key, value in options.items() if isinstance(options, dict) else ():
        check_activation(value, layers, path)
        name = (value if isinstance(value, str) else global_name(value) or "").rpartition(".")[2]
        if "activation" in str(key) and name.lower() not in ("", *(str(layer).lower() for layer in layers)):
            raise ModelError(
                f"{path} was made with {key}={name}. sigdb reads this kind of network with {layers[1]} only."
            )
