"""The interface of a model, and the implementation that all feed-forward encoders share."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from ingest.models.layers import AFFINE, ELEMENTWISE, LayerSpec, build_layers
from ingest.models.sparse import product, product_at
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["CellModel", "Entry", "FeedForward", "Normalisation", "feed_forward"]


@dataclass(frozen=True)
class Normalisation:
    """How counts become the input of a model: scaled to a total of `target_sum` over its genes, then log1p."""

    target_sum: float | None = 10_000.0
    log1p: bool = True

    def __call__(self, counts: csr_matrix) -> csr_matrix:
        """Normalise counts (n_cells, n_genes) into a new float32 matrix. A cell without counts stays empty."""
        x = counts.astype(np.float64)
        if self.target_sum is not None:
            totals = np.asarray(x.sum(axis=1)).ravel()
            factors = np.divide(self.target_sum, totals, out=np.zeros_like(totals), where=totals > 0)
            x.data *= np.repeat(factors, np.diff(x.indptr))
        if self.log1p:
            np.log1p(x.data, out=x.data)
        return x.astype(np.float32)


class Entry(NamedTuple):
    """A batch of n cells at the layer of the network where attribution starts.

    point: (n, ...), the cells at this layer. baseline: (1 or n, ...). tail: the rest of the network, from points shaped
    as `point`, or several such batches stacked, to embeddings before normalisation, (m, latent_dim). pull_back: from
    multipliers shaped as `point` to the contribution of each gene, (n, n_genes) CSR. It is exact, because the network
    before this layer is affine. rows: of a matrix product for each cell; the number of tokens of a transformer.
    """

    point: Tensor
    baseline: Tensor
    tail: Callable[[Tensor], Tensor]
    pull_back: Callable[[Tensor], csr_matrix]
    rows: int = 1


class CellModel(ABC):
    """A frozen encoder from counts of a list of genes to an embedding of each cell.

    gene_ids: (n_genes,) symbols or Ensembl ids, in input order. l2_normalised: whether the model scales its embeddings
    to unit length. unsupported: attribution methods that are wrong for this model, with the reason. context_limit: most
    genes of one cell that the model can read, or None. sha256: of everything that defines the model. autocast: of `to`.
    """

    name: str
    architecture: str
    gene_ids: tuple[str, ...]
    l2_normalised: bool
    sha256: str
    description: str | None = None
    context_limit: int | None = None
    autocast: torch.dtype | None = None

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """Number of embedding dimensions."""

    @property
    @abstractmethod
    def unsupported(self) -> Mapping[str, str]:
        """Method -> why it cannot explain this model."""

    @abstractmethod
    def prepare(self, counts: csr_matrix) -> csr_matrix:
        """The input of the model for raw counts (n_cells, n_genes), columns as in `gene_ids`: a new float32 matrix."""

    @abstractmethod
    def enter(self, x: csr_matrix, baseline: csr_matrix | None = None) -> Entry:
        """Start with prepared cells x (n_cells, n_genes). baseline: (1, n_genes), prepared; None for zeros."""

    @abstractmethod
    def to(self, device: str, *, autocast: torch.dtype | None = None) -> Self:
        """The same model on a device. autocast: type of the matrix products behind the entry; default: float32."""

    @property
    @abstractmethod
    def row_bytes(self) -> int:
        """Approximate memory of one row (see `Entry`) on its way through the tail and back, in bytes."""

    @property
    def cell_rows(self) -> int:
        """Most rows (see `Entry`) of one cell."""
        return 1

    def unread(self, counts: csr_matrix, x: csr_matrix) -> csr_matrix:
        """Where a cell expresses a gene that the model does not read: (n_cells, n_genes), boolean.

        counts: as for `prepare`, which returned x.
        """
        return csr_matrix((counts != 0) > (x != 0))

    def check_baseline(self) -> None:  # noqa: B027 - most models have one
        """Raise MethodError if the mean of cells is no cell that the model can read."""

    def embed(self, counts: csr_matrix) -> Tensor:
        """The embedding that the model returns for raw counts (n_cells, n_genes): (n_cells, latent_dim)."""
        entry = self.enter(self.prepare(counts))
        with torch.no_grad():
            return self.finish(entry.tail(entry.point)).cpu()

    def check_genes(self) -> None:
        """Raise ModelError if the gene list repeats a gene."""
        if repeated := [gene for gene, count in Counter(self.gene_ids).items() if count > 1]:
            raise ModelError(f"The gene list of model {self.name} repeats {len(repeated)} genes: {listed(repeated)}.")

    def freeze(self, module: nn.Module) -> None:
        """Keep the weights of a part as they are. Raises ModelError if one is not finite."""
        module.eval().requires_grad_(False)
        if odd := [name for name, tensor in module.state_dict().items() if not tensor.isfinite().all()]:
            raise ModelError(f"Weights of model {self.name} are NaN or infinite: {listed(odd)}.")

    def cast(self, part: Callable[..., Tensor], points: Tensor, *more: object) -> Tensor:
        """The output of a part of the network as float32, with matrix products in the type of `autocast`."""
        if self.autocast is None:
            return part(points, *more)
        with torch.autocast(points.device.type, self.autocast):
            return part(points, *more).float()

    def finish(self, z: Tensor) -> Tensor:
        """The embedding that the model returns, from the embedding before normalisation."""
        return nn.functional.normalize(z, dim=1) if self.l2_normalised else z


@dataclass(frozen=True)
class FeedForward(CellModel):
    """An encoder whose first layer is linear over genes, as in SCimilarity, scVI and scTab.

    first: Linear(n_genes, n_hidden). tail: (n, n_hidden) -> (n, latent_dim), the embedding before normalisation.
    layers: description of `first` and `tail` in the generic MLP format.

    A straight path from a baseline to a cell is also straight behind the first layer, so attribution starts there.
    """

    name: str
    architecture: str
    gene_ids: tuple[str, ...]
    normalisation: Normalisation
    first: nn.Linear
    tail: nn.Sequential
    l2_normalised: bool
    sha256: str
    description: str | None = None
    layers: tuple[LayerSpec, ...] = ()
    autocast: torch.dtype | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check that genes and layers fit, and freeze the weights."""
        self.check_genes()
        if self.first.in_features != len(self.gene_ids):
            raise ModelError(
                f"The first layer of model {self.name} takes {self.first.in_features} genes; "
                f"its gene list has {len(self.gene_ids)}. The two files do not belong to the same model."
            )
        for module in (self.first, self.tail):
            self.freeze(module)
        if not self.first.weight.T.is_contiguous():  # the weights of a gene side by side in memory
            self.first.weight = nn.Parameter(self.first.weight.T.contiguous().T, requires_grad=False)
        try:
            embedding = self.finish(self.through_tail(self.bias))
        except (RuntimeError, TypeError, ValueError) as error:  # sizes, or options of an activation
            raise ModelError(f"The layers of model {self.name} do not fit together: {error}") from error
        if not embedding.isfinite().all():
            raise ModelError(f"Model {self.name} gives an embedding that is not finite for a cell without expression.")

    @property
    def latent_dim(self) -> int:
        """Number of embedding dimensions."""
        return int(self.through_tail(self.bias).shape[1])

    @property
    def unsupported(self) -> Mapping[str, str]:
        """DeepLIFT, if a layer has no Rescale rule."""
        odd = {type(layer).__name__ for layer in self.tail if not isinstance(layer, (*AFFINE, *ELEMENTWISE))}
        if not odd:
            return {}
        kinds = listed(sorted(odd))
        return {"deeplift": f"the Rescale rule is for affine and elementwise layers, and this model has {kinds}"}

    @property
    def bias(self) -> Tensor:
        """The output of the first layer for a cell without expression: (1, n_hidden)."""
        if self.first.bias is None:
            return torch.zeros(1, self.first.out_features, device=self.first.weight.device)
        return self.first.bias.reshape(1, -1)

    @property
    def row_bytes(self) -> int:
        """Input, output and gradient of every layer of the tail, four bytes per number."""
        width = max([layer.out_features for layer in self.tail if isinstance(layer, nn.Linear)], default=1)
        return 12 * (len(self.tail) + 2) * max(width, self.first.out_features)

    def prepare(self, counts: csr_matrix) -> csr_matrix:
        """Normalised counts."""
        return self.normalisation(counts)

    def unread(self, counts: csr_matrix, x: csr_matrix) -> csr_matrix:
        """Nowhere: a count that is normalised to 0 is read as 0."""
        return csr_matrix(counts.shape, dtype=np.bool_)

    def enter(self, x: csr_matrix, baseline: csr_matrix | None = None) -> Entry:
        """Go through the first layer, W. Attributions are (x - baseline) * (multipliers @ W) where that is not 0."""
        weight = self.first.weight.T
        if baseline is None:
            difference, origin = x, self.bias
        else:
            difference = csr_matrix(x - csr_matrix(np.ones((x.shape[0], 1), np.float32)) @ baseline)
            difference.sort_indices()  # scipy sorts indices in place, and attributions of these entries share them
            origin = product(baseline, weight) + self.bias

        def pull_back(multipliers: Tensor) -> csr_matrix:
            values = difference.data * product_at(difference, multipliers, weight)
            return csr_matrix((values, difference.indices, difference.indptr), shape=difference.shape)

        return Entry(product(x, weight) + self.bias, origin, self.through_tail, pull_back)

    def through_tail(self, hidden: Tensor) -> Tensor:
        """The embedding before normalisation, from the output of the first layer."""
        return self.cast(self.tail, hidden)

    def to(self, device: str, *, autocast: torch.dtype | None = None) -> Self:
        """Copy the model to a device, unless it is there already."""
        if self.first.weight.device == torch.device(device):
            return replace(self, autocast=autocast)
        first, tail = copy.deepcopy(self.first).to(device), copy.deepcopy(self.tail).to(device)
        return replace(self, first=first, tail=tail, autocast=autocast)


def feed_forward(
    layers: Sequence[LayerSpec], tensors: Mapping[str, Tensor], *, name: str, genes: Sequence[str], **about: object
) -> FeedForward:
    """Build a FeedForward from a description of its layers and their tensors. about: its other fields."""
    built = build_layers(layers, tensors, name)
    if not len(built) or not isinstance(built[0], nn.Linear):
        raise ModelError(f"The first layer of model {name} must be Linear over genes.")
    first, tail = built[0], nn.Sequential(*list(built)[1:])
    return FeedForward(name=name, gene_ids=tuple(genes), first=first, tail=tail, layers=tuple(layers), **about)  # type: ignore[arg-type]
