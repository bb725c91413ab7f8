"""scFoundation (Hao et al. 2024): `models.ckpt`, and its list of 19,264 genes beside it.

The value of a gene is log1p(count / total * 1e4). Two more tokens tell the depth: S, log10 of the total, and T, the
depth at which the model is asked to see the cell. Both are held fixed, as covariates. There is no limit on the number
of tokens, and padding has no part in attention and pooling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ingest.models.checkpoint import fingerprint, read_checkpoint, tensors_of
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

    from scipy.sparse import csr_matrix

__all__ = ["POOLS", "ScFoundation", "load_scfoundation"]

GENES = "OS_scRNA_gene_index*.tsv"
HEADER = ["gene_name", "index"]
LAYERS = "model.encoder.transformer_encoder."
POOLS = {"all": "S, T, and the maximum and the mean over genes, side by side", "max": "the maximum over all tokens"}
# t4: at a total of 10^4. a5: at 10^5 times the total of the cell. f1: at 1 times the total.
DEPTH = re.compile(r"([taf])(\d+(?:\.\d+)?)")


class Network(TokenNetwork):
    """Values of genes enter through soft bins, and the gene by its place in the list."""

    def __init__(self, values: nn.ModuleDict, places: Tensor, layers: nn.ModuleList, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.values, self.layers, self.norm = values, layers, norm
        self.places = nn.Parameter(places)
        self.alpha = 1.0
        self.pooling = "all"

    def enter(self, points: Tensor, batch: TokenBatch) -> Tensor:
        """The mean of the bins of a value, by their weights, plus the embedding of the gene."""
        hidden = nn.functional.leaky_relu(self.values["first"](points.unsqueeze(-1)), 0.1)
        weights = (self.values["second"](hidden) + self.alpha * hidden).softmax(-1)
        found: Tensor = weights @ self.values["bins"].weight + self.places[batch.ids]
        return found

    def pool(self, hidden: Tensor, batch: TokenBatch) -> Tensor:
        """T and S are the last two tokens."""
        hidden = self.norm(hidden)
        if self.pooling == "max":
            return hidden.masked_fill(~batch.is_token.unsqueeze(-1), -torch.inf).amax(1)
        genes, is_gene = hidden[:, :-2], batch.is_gene[:, :-2].unsqueeze(-1)
        largest = genes.masked_fill(~is_gene, -torch.inf).amax(1)
        mean = genes.masked_fill(~is_gene, 0).sum(1) / is_gene.sum(1)
        return torch.cat([hidden[:, -1], hidden[:, -2], largest, mean], 1)


@dataclass(frozen=True)
class ScFoundation(TokenModel):
    """The cell encoder of scFoundation. depth: what T says, in the notation of its authors, such as t4."""

    depth: str = "t4"

    def prepare(self, counts: csr_matrix) -> csr_matrix:
        """The counts. A cell with a total of 1 or less has no token S, so the model cannot place it: it is empty."""
        x = counts.astype(np.float32)
        x.data[np.repeat(totals_of(x) <= 1, np.diff(x.indptr))] = 0
        x.eliminate_zeros()
        x.sort_indices()
        return x

    def tokens(self, x: csr_matrix) -> TokenBatch:
        """Genes in the order of the list, then T and S."""
        return batch_tokens(self.tokens_of(x, cell) for cell in range(x.shape[0]))

    def tokens_of(self, x: csr_matrix, cell: int) -> Tokens:
        """The tokens of one cell."""
        n_genes, (start, stop) = len(self.gene_ids), x.indptr[cell : cell + 2]
        counts = x.data[start:stop].astype(np.float64)
        total = counts.sum()
        depths = [target_depth(self.depth, total), np.log10(total)]
        return Tokens(
            np.append(x.indices[start:stop], [n_genes, n_genes + 1]),
            np.append(np.arange(start, stop), [-1, -1]),
            np.append(np.log1p(counts / total * 1e4), depths),
        )


def totals_of(x: csr_matrix) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The sum of each row: (n,)."""
    return np.asarray(x.sum(axis=1, dtype=np.float64)).ravel()


def target_depth(depth: str, total: float) -> float:
    """The value of T for a cell with this total. Raises OptionError for a depth that has no meaning."""
    match = DEPTH.fullmatch(depth)
    if match is None or (match[1] == "f" and float(match[2]) == 0):
        raise OptionError(
            f"There is no depth {depth!r}. `depth` is t and log10 of a total (t4, the default), a and log10 of a "
            "factor (a5), or f and a factor (f1)."
        )
    number = float(match[2])
    if match[1] == "t":
        return number
    return float(np.log10(total)) + (number if match[1] == "a" else float(np.log10(number)))


def load_scfoundation(path: Path, *, depth: str = "t4", pool: str = "all") -> ScFoundation:
    """Read an scFoundation checkpoint. path: `models.ckpt`, or its folder. The gene list lies beside it.

    depth: what the token T says. pool: how tokens become an embedding, a key of POOLS.
    """
    target_depth(depth, 1e4)
    if pool not in POOLS:
        raise OptionError(f"There is no pool {pool!r}. `pool` is {' or '.join(POOLS)}.")
    file = path / "models.ckpt" if path.is_dir() else path
    genes = read_genes(file)
    checkpoint = read_checkpoint(file)
    if not isinstance(checkpoint, dict) or "cell" not in checkpoint:
        found = listed(map(str, checkpoint)) if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise ModelError(f"{file} has no encoder of cells: it must have the part 'cell', and has {found}.")
    heads, alpha = read_config(checkpoint["cell"], file)
    tensors = tensors_of(checkpoint["cell"].get("state_dict"), file)
    network = build_network(tensors, len(genes), heads, file)
    network.alpha, network.pooling = alpha, pool
    return ScFoundation(
        name=file.parent.name if file.name == "models.ckpt" else file.stem,
        architecture="scfoundation",
        gene_ids=genes,
        network=network,
        l2_normalised=False,
        sha256=fingerprint([file, "\n".join(genes), depth, pool]),
        description=f"scFoundation cell encoder, T = {depth}, pool {pool}",
        depth=depth,
    )


def read_genes(file: Path) -> tuple[str, ...]:
    """The gene list beside a checkpoint, in the order of its indices."""
    lists = sorted(file.parent.glob(GENES))
    if len(lists) != 1:
        raise ModelError(
            f"scFoundation needs its list of genes beside {file.name}: one file {GENES}, with the columns gene_name "
            f"and index. {file.parent} has {len(lists)}."
        )
    try:
        rows = [line.split("\t") for line in lists[0].read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{lists[0]} cannot be read: {error}") from error
    if not rows or rows[0] != HEADER or any(row[1:] != [str(n)] for n, row in enumerate(rows[1:])):
        raise ModelError(f"{lists[0]} must have the columns {' and '.join(HEADER)}, with indices from 0 in order.")
    return tuple(name for name, _ in rows[1:])


def read_config(part: Any, file: Path) -> tuple[int, float]:
    """The number of heads, and the weight of a value's own bin."""
    try:
        settings = part["config"]["model_config"]["mae_autobin"]
        encoder = settings["encoder"]
        heads, kind, first = (encoder[name] for name in ("heads", "module_type", "norm_first"))
        alpha = settings["bin_alpha"]
    except (KeyError, TypeError) as error:
        raise ModelError(f"The configuration in {file} is not that of scFoundation: {error!r} is missing.") from error
    if kind != "transformer" or first:
        raise ModelError(
            f"The encoder of {file} is of type {kind!r}, with norm_first={first}. sigdb knows 'transformer' with "
            "norm_first=False, as the published models have."
        )
    if not isinstance(heads, int) or not isinstance(alpha, int | float):
        raise ModelError(f"The configuration in {file} has heads={heads!r} and bin_alpha={alpha!r}, not numbers.")
    return heads, float(alpha)


def build_network(tensors: Mapping[str, Tensor], n_genes: int, n_heads: int, file: Path) -> Network:
    """The network from the tensors of a checkpoint."""
    bins = take_tensor(tensors, "model.token_emb.emb.weight", (None, None), file)
    n_bins, width = bins.shape
    places = take_tensor(tensors, "model.pos_emb.weight", (None, width), file)
    if len(places) != n_genes + 3:
        raise ModelError(
            f"{file} has {len(places) - 3:,} genes (and T, S and padding), and the gene list beside it {n_genes:,}. "
            "The two files do not belong to the same model."
        )
    values = nn.ModuleDict(
        {"first": nn.Linear(1, n_bins), "second": nn.Linear(n_bins, n_bins), "bins": nn.Embedding(n_bins, width)}
    )
    names = {"first.weight": "mlp.weight", "first.bias": "mlp.bias", "second.weight": "mlp2.weight"}
    names |= {"second.bias": "mlp2.bias", "bins.weight": "emb.weight"}
    fill(values, tensors, {mine: f"model.token_emb.{theirs}" for mine, theirs in names.items()}, file)
    norm = nn.LayerNorm(width)
    fill(norm, tensors, {name: f"model.encoder.norm.{name}" for name in ("weight", "bias")}, file)
    found = {name.removeprefix(LAYERS): tensor for name, tensor in tensors.items() if name.startswith(LAYERS)}
    n_layers = len({name.split(".")[0] for name in found})
    layers = build_encoder(found, width=width, n_heads=n_heads, n_layers=n_layers, epsilon=1e-5, path=file)
    return Network(values, places, layers, norm)
