"""Does a model place cells better than a copy with shuffled weights? If not, there is nothing to explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.nn.functional import normalize

from ingest.check.cells import embed_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ingest.models import CellModel

__all__ = ["recognition_ranks", "split_counts"]


def split_counts(counts: csr_matrix, seed: int) -> tuple[csr_matrix, csr_matrix]:
    """Split the counts of each cell at random into two halves that are independent of each other."""
    half = np.random.default_rng(seed).binomial(counts.data.astype(np.int64), 0.5).astype(np.float32)
    one, other = counts.copy(), counts.copy()
    one.data, other.data = half, counts.data - half
    one.eliminate_zeros()
    other.eliminate_zeros()
    return one, other


def recognition_ranks(model: CellModel, counts: csr_matrix, seed: int) -> NDArray[np.float64]:
    """Where the second half of a cell's counts ranks among those of all cells, seen from its first half: (n_cells,).

    0: it is the nearest of all. 1: it is the farthest. 0.5 is chance. The similarity is the cosine between embeddings
    from which the mean over all cells is subtracted.
    """
    one, other = (embed_cells(model, half) for half in split_counts(counts, seed))
    one, other = (normalize(each - each.mean(dim=0), dim=1) for each in (one, other))
    similarity = (one @ other.T).numpy()
    nearer = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return np.asarray(nearer / (len(similarity) - 1), np.float64)
