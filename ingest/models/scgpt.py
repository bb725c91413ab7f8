"""scGPT (Cui et al. 2024): a folder with `best_model.pt`, `args.json` and `vocab.json`.

A cell is read as <cls> and its expressed genes, each with its bin: the quantile of its count among the cell's counts,
from 1 to 50. Upstream breaks ties between bins at random, and draws genes at random if there are more than the context
holds. Here both are random in the same way, with a seed that is computed from the counts of the cell. So a cell has the
same scores in every file and at every time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from ingest.models.checkpoint import fingerprint, read_checkpoint, read_object, tensors_of
from ingest.models.tokens import (
    TokenBatch,
    TokenModel,
    TokenNetwork,
    Tokens,
    batch_tokens,
    build_encoder,
    fill,
    take_tensor,
)
from sigdb.errors import ModelError, OptionError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

__all__ = ["ScGPT", "bin_counts", "load_scgpt"]

WEIGHTS, SETTINGS, VOCABULARY = "best_model.pt", "args.json", "vocab.json"
LAYERS = "transformer_encoder.layers."
CLS = "<cls>"
# Values that upstream's encoder does not exceed.
LARGEST = 512.0
WANTED: dict[str, Any] = {"embsize": int, "nheads": int, "nlayers": int, "n_bins": int, "pad_value": (int, float)}


class Network(TokenNetwork):
    """The embedding of a gene and that of its bin are added up."""

    def __init__(self, genes: nn.Embedding, norm: nn.LayerNorm, values: nn.ModuleDict, layers: nn.ModuleList) -> None:
        super().__init__()
        self.genes, self.norm, self.values, self.layers = genes, norm, values, layers

    def enter(self, points: Tensor, batch: TokenBatch) -> Tensor:
        """The sum of both embeddings."""
        hidden = self.values["first"](points.unsqueeze(-1).clamp(max=LARGEST)).relu()
        found: Tensor = self.norm(self.genes(batch.ids)) + self.values["norm"](self.values["second"](hidden))
        return found

    def pool(self, hidden: Tensor, batch: TokenBatch) -> Tensor:
        """The output of <cls>, which is the last token: attention has no positions."""
        return hidden[:, -1]


@dataclass(frozen=True)
class ScGPT(TokenModel):
    """The encoder of scGPT. rows: (n_genes,) the row of each gene in the table. cls: row and value of <cls>."""

    rows: tuple[int, ...] = ()
    cls: tuple[int, float] = (0, 0.0)
    n_bins: int = 51

    def prepare(self, counts: csr_matrix) -> csr_matrix:
        """The bins of the genes that are read."""
        x = counts.astype(np.float32)
        x.sort_indices()
        limit = (self.context_limit or np.inf) - 1
        for start, stop in zip(x.indptr[:-1], x.indptr[1:], strict=True):
            own = x.data[start:stop]
            rng = np.random.default_rng(seed_of(x.indices[start:stop], own))
            own[:] = bin_counts(own, self.n_bins, rng)
            if len(own) > limit:
                own[rng.permutation(len(own))[int(limit) :]] = 0
        x.eliminate_zeros()
        return x

    def tokens(self, x: csr_matrix) -> TokenBatch:
        """Genes in the order of the list, then <cls>."""
        rows = np.asarray(self.rows)
        row, value = self.cls
        return batch_tokens(
            Tokens(
                np.append(rows[x.indices[start:stop]], row),
                np.append(np.arange(start, stop), -1),
                np.append(x.data[start:stop], value),
            )
            for start, stop in zip(x.indptr[:-1], x.indptr[1:], strict=True)
        )


def seed_of(genes: NDArray[np.integer[Any]], counts: NDArray[np.floating[Any]]) -> list[int]:
    """A seed that depends on the counts of a cell, and on nothing else."""
    digest = hashlib.sha256(genes.astype("<i8").tobytes() + counts.astype("<f8").tobytes()).digest()
    return [int(number) for number in np.frombuffer(digest, "<u4")]


def bin_counts(counts: NDArray[np.floating[Any]], n_bins: int, rng: np.random.Generator) -> NDArray[np.floating[Any]]:
    """The bins, from 1 to n_bins - 1, of the counts of a cell that are not 0: (n,).

    The edges are quantiles of the counts. A count that equals several edges gets one of their bins at random.
    """
    if not len(counts):
        return np.asarray(counts)
    edges = np.quantile(counts, np.linspace(0, 1, n_bins - 1))
    low, high = np.digitize(counts, edges, right=True), np.digitize(counts, edges)
    bins: NDArray[np.floating[Any]] = np.ceil(high + rng.random(len(counts)) * (low - high))
    return bins


def load_scgpt(folder: Path, *, max_length: int | None = None) -> ScGPT:
    """Read an scGPT folder. max_length: most tokens of a cell, with <cls>; default: that of the model."""
    if max_length is not None and max_length < 2:
        raise OptionError(f"`max_length` must be at least 2, <cls> and one gene, not {max_length}.")
    settings, vocabulary = (read_object(folder / name) for name in (SETTINGS, VOCABULARY))
    check_settings(settings, folder / SETTINGS)
    file = folder / WEIGHTS
    tensors = rename(tensors_of(read_checkpoint(file), file))
    check_vocabulary(vocabulary, len(take_tensor(tensors, "encoder.embedding.weight", (None, None), file)), folder)
    genes = {name: row for name, row in sorted(vocabulary.items(), key=lambda item: item[1]) if name[:1] != "<"}
    limit = max_length or settings.get("max_seq_len") or 1200
    return ScGPT(
        name=folder.name,
        architecture="scgpt",
        gene_ids=tuple(genes),
        network=build_network(tensors, settings, file),
        l2_normalised=True,
        sha256=fingerprint([file, json.dumps([vocabulary, settings, limit], sort_keys=True)]),
        description=f"scGPT, at most {limit} tokens of a cell",
        context_limit=int(limit),
        rows=tuple(genes.values()),
        cls=(vocabulary[CLS], float(settings["pad_value"])),
        n_bins=settings["n_bins"],
    )


def check_settings(settings: Mapping[str, Any], path: Path) -> None:
    """Raise ModelError if the settings of a model are not those of an scGPT that sigdb knows."""
    if odd := [name for name, kind in WANTED.items() if not isinstance(settings.get(name), kind)]:
        raise ModelError(f"{path} lacks {len(odd)} settings of scGPT, or they are not numbers: {listed(odd)}.")
    if (style := settings.get("input_emb_style", "continuous")) != "continuous":
        raise ModelError(f"{path} has input_emb_style {style!r}. sigdb knows 'continuous', as published.")


def check_vocabulary(vocabulary: Mapping[str, Any], n_rows: int, folder: Path) -> None:
    """Raise ModelError if a vocabulary is not that of a table of genes with n_rows rows."""
    if CLS not in vocabulary:
        raise ModelError(f"{folder / VOCABULARY} has no token {CLS}. It is not the vocabulary of an scGPT model.")
    rows = list(vocabulary.values())
    if not all(isinstance(row, int) for row in rows) or sorted(rows) != list(range(n_rows)):
        raise ModelError(
            f"{folder / VOCABULARY} has {len(vocabulary):,} tokens, and the table of {WEIGHTS} has {n_rows:,} rows; "
            "each token must have one. The two files do not belong to the same model."
        )


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by torch's names. Files of flash attention have others."""
    return {name.replace("_impl.", "").replace("Wqkv.", "in_proj_"): tensor for name, tensor in tensors.items()}


def build_network(tensors: Mapping[str, Tensor], settings: Mapping[str, Any], path: Path) -> Network:
    """The network from the tensors of a checkpoint."""
    width = settings["embsize"]
    table = take_tensor(tensors, "encoder.embedding.weight", (None, width), path)
    norm = nn.LayerNorm(width)
    fill(norm, tensors, {name: f"encoder.enc_norm.{name}" for name in ("weight", "bias")}, path)
    values = nn.ModuleDict(
        {"first": nn.Linear(1, width), "second": nn.Linear(width, width), "norm": nn.LayerNorm(width)}
    )
    parts = {"first": "linear1", "second": "linear2", "norm": "norm"}
    names = {
        f"{mine}.{kind}": f"value_encoder.{theirs}.{kind}"
        for mine, theirs in parts.items()
        for kind in ("weight", "bias")
    }
    fill(values, tensors, names, path)
    found = {name.removeprefix(LAYERS): tensor for name, tensor in tensors.items() if name.startswith(LAYERS)}
    layers = build_encoder(
        found, width=width, n_heads=settings["nheads"], n_layers=settings["nlayers"], epsilon=1e-5, path=path
    )
    return Network(nn.Embedding(len(table), width, _weight=table), norm, values, layers)
