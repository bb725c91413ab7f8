"""Transformers that read a cell as tokens, one for each of its genes: what scFoundation, scGPT and Geneformer share.

Their encoders are the same network: layers of `nn.TransformerEncoderLayer`. They differ in the tokens of a cell, in how
a token enters, and in how the outputs become one embedding.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from ingest.models.core import CellModel, Entry
from sigdb.errors import MethodError, ModelError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "TokenBatch",
    "TokenModel",
    "TokenNetwork",
    "Tokens",
    "batch_tokens",
    "build_encoder",
    "fill",
    "new_layers",
    "take_tensor",
]

DEEPLIFT = (
    "the Rescale rule is for affine and elementwise layers, and a transformer multiplies its activations with each "
    "other (attention) and divides them by their spread (layer norm)"
)
# Numbers that a layer keeps for the way back, in widths of the network: q, k, v, the output of attention, its sum with
# the input before and after the norm, and the same for the feed-forward part.
KEPT = 10


class Tokens(NamedTuple):
    """The tokens of one cell: (length,) each, as in `TokenBatch`."""

    ids: NDArray[Any]
    entries: NDArray[Any]
    values: NDArray[Any]


class TokenBatch(NamedTuple):
    """The tokens of n cells, padded on the left to the longest: (n, length) each.

    ids: rows of the network's table of genes. entries: the position of a gene's token among the stored values of the
    prepared cells; -1 for other tokens, -2 for padding. values: what the network reads beside the id.
    """

    ids: Tensor
    entries: Tensor
    values: Tensor

    @property
    def is_gene(self) -> Tensor:
        """Which tokens are genes."""
        return self.entries >= 0

    @property
    def is_token(self) -> Tensor:
        """Which places are not padding."""
        return self.entries > -2

    def repeat(self, n_copies: int) -> Self:
        """The same cells several times, one copy of the batch after the other."""
        return type(self)(*(part.repeat(n_copies, 1) for part in self)) if n_copies > 1 else self


class TokenNetwork(nn.Module, ABC):
    """A network from tokens to embeddings. layers: `nn.TransformerEncoderLayer`s, tokens first.

    Tokens are the first dimension in the layers: with the batch first, torch multiplies in the way back by a copy of
    the weights for each cell, which takes half as long again.
    """

    layers: nn.ModuleList

    def begin(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """The point at which a batch is explained, and its baseline: (n, length, ...) each.

        They are equal at tokens that are not genes, which are held fixed. Here: the values, against 0 for every gene.
        """
        return batch.values, batch.values.masked_fill(batch.is_gene, 0.0)

    @abstractmethod
    def enter(self, points: Tensor, batch: TokenBatch) -> Tensor:
        """The input of the first layer at points: (n, length, width)."""

    @abstractmethod
    def pool(self, hidden: Tensor, batch: TokenBatch) -> Tensor:
        """The embeddings, before they are scaled to unit length, from the output of the last layer."""

    def forward(self, points: Tensor, batch: TokenBatch) -> Tensor:
        """The embeddings, before they are scaled to unit length, from points of a batch or of several copies of it."""
        batch = batch.repeat(len(points) // len(batch.ids))
        hidden = self.enter(points, batch).transpose(0, 1).contiguous()
        padding = None if bool(batch.is_token.all()) else ~batch.is_token
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=padding)
        return self.pool(hidden.transpose(0, 1), batch)


@dataclass(frozen=True)
class TokenModel(CellModel):
    """A transformer that has one token for each expressed gene of a cell.

    A gene that is beyond `context_limit` is not read: the prepared cell does not have it, and it gets no score.
    """

    name: str
    architecture: str
    gene_ids: tuple[str, ...]
    network: TokenNetwork
    l2_normalised: bool
    sha256: str
    description: str | None = None
    context_limit: int | None = None
    autocast: torch.dtype | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check genes and weights, and freeze the weights."""
        self.check_genes()
        self.freeze(self.network)
        if not self.embed_one_gene().isfinite().all():
            raise ModelError(f"Model {self.name} gives an embedding that is not finite for a cell with one gene.")

    def embed_one_gene(self) -> Tensor:
        """The embedding of a cell that has 100 counts of the first gene: (1, latent_dim)."""
        return self.embed(csr_matrix(np.eye(1, len(self.gene_ids)) * 100))

    @abstractmethod
    def tokens(self, x: csr_matrix) -> TokenBatch:
        """The tokens of prepared cells, on the CPU."""

    @property
    def latent_dim(self) -> int:
        """Number of embedding dimensions."""
        return self.embed_one_gene().shape[1]

    @property
    def unsupported(self) -> Mapping[str, str]:
        """DeepLIFT."""
        return {"deeplift": DEEPLIFT}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def row_bytes(self) -> int:
        """What the layers keep for one token, four bytes per number."""
        inner, width = self.network.layers[0].get_parameter("linear1.weight").shape
        return 4 * len(self.network.layers) * (KEPT * width + 2 * inner)

    @property
    def cell_rows(self) -> int:
        """The tokens of a cell that expresses all genes, or as many as the model can read."""
        return self.context_limit or len(self.gene_ids) + 2

    def enter(self, x: csr_matrix, baseline: csr_matrix | None = None) -> Entry:
        """Start where the values of genes enter. Attributions are (point - baseline) * multipliers of a gene's token.

        Raises MethodError if there is a baseline.
        """
        if baseline is not None:
            self.check_baseline()
        batch = TokenBatch(*(part.to(self.device) for part in self.tokens(x)))
        point, origin = self.network.begin(batch)
        is_gene = batch.is_gene

        def pull_back(multipliers: Tensor) -> csr_matrix:
            found = ((point - origin) * multipliers).reshape(*is_gene.shape, -1).sum(2)
            values = np.zeros(x.nnz, np.float32)
            values[batch.entries[is_gene].cpu().numpy()] = found[is_gene].float().cpu().numpy()
            return csr_matrix((values, x.indices, x.indptr), shape=(x.shape[0], len(self.gene_ids)))

        return Entry(
            point, origin, lambda points: self.cast(self.network, points, batch), pull_back, batch.ids.shape[1]
        )

    def check_baseline(self) -> None:
        """Raise MethodError."""
        raise MethodError(
            f"Model {self.name} reads tokens of expressed genes. A mean of cells has other tokens than a cell, so it "
            "is no baseline: leave the baseline out."
        )

    def to(self, device: str, *, autocast: torch.dtype | None = None) -> Self:
        """Copy the model to a device, unless it is there already."""
        if self.device == torch.device(device):
            return replace(self, autocast=autocast)
        return replace(self, network=copy.deepcopy(self.network).to(device), autocast=autocast)


def batch_tokens(cells: Iterable[Tokens]) -> TokenBatch:
    """The tokens of several cells, padded on the left. The row of padding is any one, as nothing looks at padding."""
    ids, entries, values = zip(*cells, strict=True)
    return TokenBatch(
        pad_rows(ids, 0, torch.int64), pad_rows(entries, -2, torch.int64), pad_rows(values, 0, torch.float32)
    )


def pad_rows(rows: Sequence[NDArray[Any]], padding: int, dtype: torch.dtype) -> Tensor:
    """Rows of different lengths as one tensor, padded on the left: (n, length)."""
    length = max(map(len, rows))
    padded = torch.full((len(rows), length), padding, dtype=dtype)
    for number, row in enumerate(rows):
        padded[number, length - len(row) :] = torch.from_numpy(row).to(dtype)
    return padded


def take_tensor(tensors: Mapping[str, Tensor], name: str, shape: tuple[int | None, ...], path: object) -> Tensor:
    """A tensor of a checkpoint; ModelError if it is missing, or of another shape. None stands for any size."""
    if name not in tensors:
        raise ModelError(f"{path} has no tensor {name}. It is not a checkpoint of this model.")
    found = tuple(tensors[name].shape)
    if len(found) != len(shape) or any(want not in (None, have) for want, have in zip(shape, found, strict=True)):
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise ModelError(f"The tensor {name} of {path} is {' x '.join(map(str, found))}; it must be {wanted}.")
    return tensors[name]


def fill(module: nn.Module, tensors: Mapping[str, Tensor], names: Mapping[str, str], path: object) -> None:
    """Fill a module from a checkpoint; ModelError if a tensor is missing or of another shape.

    names: the name of a tensor of the module -> its name in the checkpoint.
    """
    wanted = module.state_dict()
    module.load_state_dict(
        {name: take_tensor(tensors, names[name], tuple(wanted[name].shape), path) for name in wanted}
    )


def new_layers(n_layers: int, *, width: int, n_heads: int, inner: int, epsilon: float = 1e-5) -> nn.ModuleList:
    """The layers of a `TokenNetwork`, with random weights. inner: the width of the feed-forward part."""
    return nn.ModuleList(
        nn.TransformerEncoderLayer(width, n_heads, inner, dropout=0.0, layer_norm_eps=epsilon) for _ in range(n_layers)
    )


def build_encoder(
    tensors: Mapping[str, Tensor], *, width: int, n_heads: int, n_layers: int, epsilon: float, path: object
) -> nn.ModuleList:
    """The layers of an encoder. tensors: named as in a list of `nn.TransformerEncoderLayer`s, 0.linear1.weight.

    Raises ModelError if the shapes do not fit together.
    """
    if n_layers < 1:
        raise ModelError(f"{path} has no layers of a transformer.")
    if n_heads < 1 or width % n_heads:
        raise ModelError(f"The configuration of {path} has {n_heads} heads, which do not divide its width of {width}.")
    inner = len(take_tensor(tensors, "0.linear1.weight", (None, width), path))
    layers = new_layers(n_layers, width=width, n_heads=n_heads, inner=inner, epsilon=epsilon)
    wanted = layers.state_dict()
    fill(layers, tensors, {name: name for name in wanted}, path)
    if extra := [name for name in tensors if name not in wanted]:
        raise ModelError(f"{path} has {len(extra)} tensors that its {n_layers} layers do not have: {listed(extra)}.")
    return layers
