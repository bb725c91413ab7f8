"""Say how many of the genes that cells express a model reads. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sigdb.text import describe_read

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_notes"]


def read_notes(n_expressed: NDArray[np.number], n_read: NDArray[np.number], cells: str) -> list[str]:
    """A note on cells of which the model does not read all expressed genes, if there are any.

    n_expressed, n_read: (n,), see `ingest.store.chunks.Chunk`. cells: which cells these are, in words.
    """
    is_cut = n_read < n_expressed
    if not is_cut.any():
        return []
    numbers = describe_read(float(np.nanmedian(n_read)), float(np.nanmedian(n_expressed)), float(is_cut.mean()))
    return [
        f"the model reads a limited number of genes of a cell. Genes read of {cells}: {numbers}. A gene that is not "
        "read has no score. scGPT reads more with a larger `max_length`"
    ]
