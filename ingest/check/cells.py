"""The cells of a check: a sample of a file, in the gene space of each model, and where a model places them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack

from ingest.attribution.methods import most_rows
from ingest.counts.open import open_counts
from ingest.genes import map_to_models
from ingest.models.tokens import TokenModel
from ingest.pipeline import CHUNK_CELLS
from sigdb.errors import CountsError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from ingest.models import CellModel

__all__ = ["Cells", "batches", "embed_cells", "read_cells"]


@dataclass(frozen=True)
class Cells:
    """The same cells in the gene space of each model.

    counts: one matrix (n_cells, n_genes) per model. gene_ids: one id for each gene of each model; genes of two models
    that are the same have one id. n_drawn: cells that were drawn. The others have no counts that each
    model can read.
    notes: what a user should know about how the file was read.
    """

    counts: tuple[csr_matrix, ...]
    gene_ids: tuple[tuple[int, ...], ...]
    n_drawn: int
    notes: tuple[str, ...]


def read_cells(
    path: str | os.PathLike[str],
    models: Sequence[CellModel],
    *,
    n_cells: int,
    seed: int,
    layer: str | None = None,
    min_genes: int | None = None,
) -> Cells:
    """Draw cells of a file at random, without replacement. Cells without counts are drawn too, and left out.

    Raises CountsError if fewer than two cells remain, GeneSpaceError if file and model share too few genes, and what
    `open_counts` raises.
    """
    with open_counts(path, layer=layer) as file:
        chosen = np.sort(np.random.default_rng(seed).permutation(file.n_cells)[:n_cells])
        maps, gene_ids = map_to_models([model.gene_ids for model in models], file.var_names, min_genes=min_genes)
        notes = (*file.notes, *dict.fromkeys(note for genes in maps for note in genes.notes))
        parts = []
        for start in range(0, file.n_cells, CHUNK_CELLS):
            inside = chosen[(chosen >= start) & (chosen < start + CHUNK_CELLS)] - start
            if len(inside):
                parts.append(file.read(start, start + CHUNK_CELLS)[inside])
    drawn = csr_matrix(vstack(parts, format="csr"))
    counts = [genes(drawn) for genes in maps]
    prepared = [model.prepare(each) for model, each in zip(models, counts, strict=True)]
    kept = np.all([np.diff(x.indptr) > 0 for x in prepared], axis=0)
    if kept.sum() < 2:
        raise CountsError(
            f"{kept.sum()} of the {len(chosen)} cells that were drawn from {Path(path).name} have counts of the "
            "model's genes; at least 2 are needed. Draw more with `n_cells`, or another sample with `seed`."
        )
    return Cells(tuple(each[kept] for each in counts), gene_ids, len(chosen), notes)


def embed_cells(model: CellModel, counts: csr_matrix) -> Tensor:
    """The embedding of each cell, (n_cells, latent_dim), on the CPU.

    A transformer does not place a cell of which it reads no gene. The embedding of such a cell is 0.
    """
    x = model.prepare(counts)
    cells = np.flatnonzero(np.diff(x.indptr)) if isinstance(model, TokenModel) else np.arange(x.shape[0])
    found, x = torch.zeros(x.shape[0], model.latent_dim), x[cells]
    with torch.no_grad():
        for some in batches(model, x):
            entry = model.enter(x[some])
            found[cells[some]] = model.finish(entry.tail(entry.point)).cpu()
    return found


def batches(model: CellModel, x: csr_matrix) -> Iterator[slice]:
    """Slices of as many cells as go through a model at a time: all cells, or of a transformer as many as fit."""
    n_cells = size = x.shape[0]
    if n_cells and isinstance(model, TokenModel):
        n_tokens = int(np.diff(x.indptr).max()) + 2
        size = max(1, most_rows(model, model.device.type) // n_tokens)
    return (slice(start, start + size) for start in range(0, n_cells, size or 1))
