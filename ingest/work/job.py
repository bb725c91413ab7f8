"""A job: all that a process needs to attribute the chunks of a study."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from ingest.ahead import map_ahead
from ingest.attribution.device import attribute_cells
from ingest.attribution.methods import scale
from ingest.store.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ingest.counts.matrix import RowReader, RowSource
    from ingest.genes import GeneMap
    from ingest.models import CellModel
    from ingest.options import Method
    from ingest.store.stage import Stage


__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """What to attribute, how, and where to keep the results.

    source: the counts of the file. genes: which of its columns are which genes of the model. baseline: (1, n_genes),
    or None for a cell without expression. batch_size: cells attributed at a time; 0 means that each worker finds out
    what fits. n_chunk: cells in a chunk. device, versions: what the ledger of the atlas records.
    """

    source: RowSource
    genes: GeneMap
    model: CellModel
    method: Method
    baseline: csr_matrix | None
    batch_size: int
    n_chunk: int
    stage: Stage
    device: str
    versions: Mapping[str, str]

    def cells_of(self, number: int) -> int:
        """The number of cells in chunk `number`."""
        return int(min(self.n_chunk, self.source.shape[0] - number * self.n_chunk))

    def read(self, file: RowReader, number: int) -> csr_matrix:
        """The counts of chunk `number`: (n_cells, n_columns of the file)."""
        return file.read(number * self.n_chunk, (number + 1) * self.n_chunk)

    def attribute(self, counts: csr_matrix, done: Callable[[int], None] = lambda n: None) -> Chunk:
        """Attribute cells from their counts, (n_cells, n_columns of the file)."""
        expressed = self.genes(counts)
        found = attribute_cells(
            self.model,
            expressed,
            self.method,
            baseline=self.baseline,
            batch_size=self.batch_size,
            done=done,
        )
        scores, scales = scale(found)
        n_expressed, unread = np.diff(expressed.indptr), csr_matrix(found.unread)
        return Chunk(
            n_counts=np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel(),
            n_genes=np.diff(counts.indptr),
            scores=scores,
            scale=scales,
            delta=found.delta,
            error=found.error,
            n_expressed=n_expressed,
            n_read=n_expressed - np.diff(unread.indptr),
            n_unread=np.bincount(unread.indices, minlength=unread.shape[1]),
        )

    def keep(self, number: int, chunk: Chunk) -> None:
        """Write chunk `number` into the stage."""
        self.stage.write_chunk(number, number * self.n_chunk, chunk, device=self.device, versions=self.versions)

    def run(self, file: RowReader, numbers: Sequence[int], done: Callable[[int], None]) -> None:
        """Attribute chunks in this process, while one thread reads the next chunk and another writes the last."""
        with closing(map_ahead(partial(self.read, file), numbers)) as read:
            chunks = ((number, self.attribute(counts, done)) for number, counts in zip(numbers, read, strict=True))
            for _ in map_ahead(lambda chunk: self.keep(*chunk), chunks):
                pass
