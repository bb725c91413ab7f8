"""What every model looks like to the rest of ingest: a gene list, an input recipe, a linear map over genes, a tail."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["CellModel", "Normalisation"]


@dataclass(frozen=True)
class Normalisation:
    """How counts become input: scaled to a total of `target_sum` over the model's genes, then log1p."""

    target_sum: float | None = 10_000.0
    log1p: bool = True

    def __call__(self, counts: csr_matrix) -> csr_matrix:
        """Normalise counts (n_cells, n_genes); a new float32 matrix. A cell without counts stays without."""
        x = counts.astype(np.float64)
        if self.target_sum is not None:
            totals = np.asarray(x.sum(axis=1)).ravel()
            factors = np.divide(self.target_sum, totals, out=np.zeros_like(totals), where=totals > 0)
            x.data *= np.repeat(factors, np.diff(x.indptr))
        if self.log1p:
            np.log1p(x.data, out=x.data)
        return x.astype(np.float32)


@dataclass(frozen=True)
class CellModel:
    """A frozen encoder whose first layer is linear over genes.

    gene_ids: (n_genes,) names in input order, symbols or Ensembl ids. first: Linear(n_genes, n_hidden). tail:
    (n, n_hidden) -> (n, latent_dim), the embedding before any normalisation. l2_normalised: whether the model's own
    embedding is that of unit length. sha256: of the files that define the model.
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

    def __post_init__(self) -> None:
        """Check that genes and layers fit, and freeze the weights."""
        if repeated := [gene for gene, count in Counter(self.gene_ids).items() if count > 1]:
            raise ModelError(f"The gene list of model {self.name} repeats {len(repeated)} genes: {listed(repeated)}.")
        if self.first.in_features != len(self.gene_ids):
            raise ModelError(
                f"The first layer of model {self.name} takes {self.first.in_features} genes; "
                f"its gene list names {len(self.gene_ids)}. The two files are not of one model."
            )
        for module in (self.first, self.tail):
            module.eval().requires_grad_(False)
            if odd := [name for name, tensor in module.state_dict().items() if not tensor.isfinite().all()]:
                raise ModelError(f"Weights of model {self.name} are NaN or infinite: {listed(odd)}.")
        try:
            embedding = self.embed_hidden(self.hidden_baseline())
        except RuntimeError as error:
            raise ModelError(f"The layers of model {self.name} do not fit together: {error}") from error
        if not embedding.isfinite().all():
            raise ModelError(f"Model {self.name} gives an embedding that is not finite for a cell without expression.")

    @property
    def latent_dim(self) -> int:
        """Number of embedding dimensions."""
        return int(self.embed_hidden(self.hidden_baseline()).shape[1])

    def hidden(self, x: csr_matrix) -> Tensor:
        """The first layer's output for prepared input x (n_cells, n_genes): (n_cells, n_hidden) float32."""
        weight = self.first.weight.numpy().T
        return torch.from_numpy(np.asarray(x @ weight, dtype=np.float32)) + self.hidden_baseline()

    def hidden_baseline(self) -> Tensor:
        """The first layer's output for a cell without any expression: (1, n_hidden)."""
        bias = self.first.bias if self.first.bias is not None else torch.zeros(self.first.out_features)
        return bias.reshape(1, -1)

    def embed_hidden(self, hidden: Tensor) -> Tensor:
        """The model's embedding, normalised if the model does so, from the first layer's output."""
        z: Tensor = self.tail(hidden)
        return nn.functional.normalize(z, dim=1) if self.l2_normalised else z

    def embed(self, counts: csr_matrix) -> Tensor:
        """The model's embedding of raw counts (n_cells, n_genes), columns as in `gene_ids`: (n_cells, latent_dim)."""
        return self.embed_hidden(self.hidden(self.normalisation(counts)))


def split_first_linear(layers: nn.Sequential, name: str) -> tuple[nn.Linear, nn.Sequential]:
    """Split layers into the linear map over genes and the rest; ModelError if the first is no Linear."""
    if not len(layers) or not isinstance(layers[0], nn.Linear):
        raise ModelError(f"The first layer of model {name} must be Linear over genes.")
    return layers[0], nn.Sequential(*list(layers)[1:])
