"""Merge the chunks of a stage into the order of the atlas, by gene and cell, a range of genes at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ingest.ahead import map_ahead
from ingest.store.chunks import PACKED, SCORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from ingest.store.stage import Stage

__all__ = ["SCORES", "Groups", "merge_chunks"]

SCORES = pa.schema([("gene_id", pa.uint32()), ("rank", pa.uint32()), ("score", pa.float32())])
# The columns of the cube for one group of cells and one gene.
SUMS = pa.schema(
    [
        ("gene_id", pa.uint32()),
        ("n_nonzero", pa.int64()),
        ("sum_abs", pa.float64()),
        ("sum_signed", pa.float64()),
        ("sum_sq", pa.float64()),
    ]
)

# Scores to merge at a time. A gene is never split.
BATCH = 750_000
# Sums (genes x groups) to add up at a time, so that they fit into the cache of a core.
MOST_SUMS = 1 << 14
# A score is sorted as a PACKED number. Its upper bits are the gene, counted within the range, and the rank; its lower
# bits are the score itself.
PLACE_BITS = 32


@dataclass(frozen=True)
class SortedScores:
    """The scores of a range of genes, by gene and rank.

    gene_ids: (n_genes,), ascending. lengths: (n_genes,), the number of scores of each gene. ranks, scores: (n,).
    """

    gene_ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    ranks: NDArray[np.uint32]
    scores: NDArray[np.float32]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each gene starts, and where the last one ends: (n_genes + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def split(self, n_genes: int) -> Iterator[SortedScores]:
        """Split into ranges of at most n_genes genes."""
        starts = self.starts
        for first in range(0, len(self.gene_ids), n_genes):
            genes = slice(first, first + n_genes)
            lengths = self.lengths[genes]
            rows = slice(starts[first], starts[first + len(lengths)])
            yield SortedScores(self.gene_ids[genes], lengths, self.ranks[rows], self.scores[rows])

    def to_arrow(self) -> pa.Table:
        """The columns gene_id, rank and score."""
        genes = np.repeat(self.gene_ids, self.lengths)
        return pa.table([genes, self.ranks, self.scores], schema=SCORES)


@dataclass(frozen=True)
class Groups:
    """The groups of cells, by sample and cell type, whose scores the cube adds up.

    of_cells: (n_cells,), the group of each cell, by rank. names: sample_id and cell_type, one row per group.
    """

    of_cells: NDArray[np.int32]
    names: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """The columns of the sums."""
        return pa.schema([*self.names.schema, *SUMS])

    def add_up(self, scores: SortedScores) -> pa.Table:
        """The cube of a range of genes, by gene and group: n_nonzero, and sums in double precision.

        A group without scores of a gene has no row.
        """
        parts = [self._add_up_genes(part) for part in scores.split(max(1, MOST_SUMS // len(self.names)))]
        groups, *columns = map(np.concatenate, zip(*parts, strict=True))
        return pa.table([*self.names.take(groups).columns, *columns], schema=self.schema)

    def _add_up_genes(self, scores: SortedScores) -> tuple[NDArray[np.generic], ...]:
        """The rows of `add_up` for few genes: the group of each row, then the columns.

        Cells of a group are mostly adjacent, so adjacent cells are added up first, and then these partial sums.
        """
        starts = scores.starts
        group = self.of_cells.take(scores.ranks)  # faster than an index
        is_first = np.ones(len(group) + 1, np.bool_)
        np.not_equal(group[1:], group[:-1], out=is_first[1:-1])
        is_first[starts] = True
        bounds = np.flatnonzero(is_first)
        firsts = bounds[:-1]
        runs_per_gene = np.diff(np.searchsorted(bounds, starts))
        row = np.repeat(np.arange(len(scores.gene_ids)) * len(self.names), runs_per_gene) + group[firsts]
        n = np.bincount(row, np.diff(bounds))
        rows = np.flatnonzero(n)
        signed = scores.scores.astype(np.float64)
        sums = [
            np.bincount(row, np.add.reduceat(values, firsts))[rows]
            for values in (np.abs(signed), signed, np.square(signed))
        ]
        gene, group = np.divmod(rows, len(self.names))
        return group, scores.gene_ids[gene], n[rows].astype(np.int64), *sums


def merge_chunks(
    stage: Stage, on_range: Callable[[SortedScores], None] = lambda scores: None
) -> Iterator[SortedScores]:
    """Merge all scores of a stage, one range of genes after the other, in a thread that is one range ahead.

    on_range: called with each range, in order, by the thread that merges.
    """
    gene_ids, counts = np.sort(stage.gene_ids), stage.gene_counts()

    def merge(genes: tuple[int, int]) -> SortedScores:
        start, stop = genes
        scores = merge_range(stage, start, gene_ids[start:stop], counts[start:stop])
        on_range(scores)
        return scores

    return map_ahead(merge, gene_ranges(counts, len(stage.ranks)))


def gene_ranges(counts: NDArray[np.int64], n_cells: int) -> Iterator[tuple[int, int]]:
    """Ranges of genes, from start to before stop, of about BATCH scores each, that PLACE_BITS can number.

    Ranges without scores are left out.
    """
    batches = (np.cumsum(counts) - counts) // BATCH
    starts = np.flatnonzero(np.diff(batches, prepend=-1))
    step = 1 << (PLACE_BITS - rank_bits(n_cells))
    for start, stop in pairwise([*starts.tolist(), len(counts)]):
        for first in range(start, stop, step):
            if counts[first : min(stop, first + step)].any():
                yield first, min(stop, first + step)


def merge_range(stage: Stage, start: int, gene_ids: NDArray[np.uint32], lengths: NDArray[np.int64]) -> SortedScores:
    """Merge the scores of consecutive genes; `start` is the position of the first among the genes of the stage.

    Each score is packed into one number, with gene and rank above the bits of the score: numpy sorts numbers faster
    than it computes an order of records.
    """
    bits = rank_bits(len(stage.ranks))
    genes = np.arange(len(gene_ids), dtype=np.uint32) << bits
    records, n = np.empty(lengths.sum(), SCORE), 0
    for chunk_lengths, scores in stage.scores_of_genes(start, start + len(gene_ids)):
        part = records[n : n + len(scores)]
        part.view(PACKED)[:] = scores.view(PACKED)  # faster than field by field
        part["rank"] |= np.repeat(genes, chunk_lengths)
        n += len(scores)
    records.view(PACKED).sort()
    return SortedScores(gene_ids, lengths, records["rank"] & np.uint32((1 << bits) - 1), records["score"].copy())


def rank_bits(n_cells: int) -> int:
    """The number of bits of the largest rank."""
    return (n_cells - 1).bit_length()
