"""The same cells measured in another way: cut to a panel, thinned, or with a planted programme of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import anndata
    from numpy.typing import NDArray

__all__ = ["cut", "measured_by_all", "most_expressed", "plant", "split_into_donors", "thin", "well_measured"]


def cut(study: anndata.AnnData, names: Collection[str]) -> anndata.AnnData:
    """The study with only these genes, as a panel would measure them."""
    return study[:, study.var_names.isin(list(names))].copy()


def thin(study: anndata.AnnData, share: float | NDArray[np.floating], rng: np.random.Generator) -> anndata.AnnData:
    """The study with a part of its counts, drawn binomially. share: from 0 to 1, one or (n_cells,)."""
    counts = csr_matrix(study.X, copy=True)
    shares = np.repeat(np.broadcast_to(share, counts.shape[0]), np.diff(counts.indptr))
    counts.data = rng.binomial(np.round(counts.data).astype(int), shares).astype(np.float32)
    return with_counts(study, counts)


def plant(
    study: anndata.AnnData, cells: NDArray[np.bool_], names: Collection[str], factor: float, rng: np.random.Generator
) -> anndata.AnnData:
    """The study in which these cells (n_cells,) express these genes `factor` times as much.

    Poisson counts are added: factor - 1 times what a cell of this depth has of the gene on average.
    """
    counts = csr_matrix(study.X, copy=True)
    rows, columns = np.flatnonzero(cells), np.flatnonzero(study.var_names.isin(list(names)))
    depth, share = np.asarray(counts.sum(axis=1)).ravel(), np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
    added = rng.poisson((factor - 1) * depth[rows, None] * share[columns]).astype(np.float32)
    places = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
    return with_counts(study, counts + csr_matrix((added.ravel(), places), shape=counts.shape))


def with_counts(study: anndata.AnnData, counts: csr_matrix) -> anndata.AnnData:
    """A copy of the study with other counts, without stored zeros."""
    copy = study.copy()
    counts.eliminate_zeros()
    copy.X = counts
    return copy


def most_expressed(study: anndata.AnnData, n_genes: int) -> list[str]:
    """The names of the genes with the most counts."""
    order = np.argsort(-np.asarray(study.X.sum(axis=0)).ravel(), kind="stable")
    return list(study.var_names[order[:n_genes]])


def well_measured(study: anndata.AnnData, least: float, most: float) -> list[str]:
    """The names of the genes that are detected in from `least` to `most` of the cells (parts of 1)."""
    detected = np.asarray((study.X > 0).mean(axis=0)).ravel()
    return list(study.var_names[(detected >= least) & (detected <= most)])


def measured_by_all(studies: Sequence[anndata.AnnData], known: Collection[str]) -> list[str]:
    """The names that all studies measured and that are known to a model, sorted."""
    return sorted(set(known).intersection(*(study.var_names for study in studies)))


def split_into_donors(n_cells: int, n_donors: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal the cells out to donors at random, in equal parts: the number of each cell's donor, (n_cells,)."""
    return rng.permutation(np.arange(n_cells) % n_donors)
