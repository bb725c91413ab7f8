"""The scores of all chunks of a stage in the order of the atlas, by gene and cell, a range of genes at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

from ingest.ahead import ahead
from ingest.store.chunks import PACKED, SCORE
from sigdb.atlas.file import ROW_GROUP_SIZE
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from ingest.store.chunks import Stage

__all__ = ["SCORES", "Groups", "SortedScores", "insert", "merged"]

SCORES = pa.schema({"gene_id": pa.uint32(), "rank": pa.uint32(), "score": pa.float32()})
# What a group has of a gene.
SUMS = pa.schema(
    {
        "gene_id": pa.uint32(), "n_nonzero": pa.int64(), "sum_abs": pa.float64(), "sum_signed": pa.float64(),
        "sum_sq": pa.float64(),
    }
)  # fmt: skip

# Scores that are merged at a time; a gene is never divided.
BATCH = 750_000
# Sums, of genes x groups, that are added up at a time: they stay in a core's cache.
MOST_SUMS = 1 << 14
# A score is sorted as a PACKED number: its place, of the bits of its gene within the range and of its rank, before its
# own.
PLACE_BITS = 32


@dataclass(frozen=True)
class SortedScores:
    """The scores of a range of genes, by gene and rank, which is the place of a cell among those of its study.

    gene_ids: (n_genes,), ascending; lengths: (n_genes,) how many scores each has. ranks, scores: (n,).
    """

    gene_ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    ranks: NDArray[np.uint32]
    scores: NDArray[np.float32]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each gene begins, and the last one ends: (n_genes + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def divided(self, n_genes: int) -> Iterator[SortedScores]:
        """So many genes at a time."""
        starts = self.starts
        for first in range(0, len(self.gene_ids), n_genes):
            genes = slice(first, first + n_genes)
            lengths = self.lengths[genes]
            these = slice(starts[first], starts[first + len(lengths)])
            yield SortedScores(self.gene_ids[genes], lengths, self.ranks[these], self.scores[these])

    def table(self) -> pa.Table:
        """gene_id, rank and score."""
        genes = np.repeat(self.gene_ids, self.lengths)
        return pa.table([genes, self.ranks, self.scores], schema=SCORES)


@dataclass(frozen=True)
class Groups:
    """The groups of cells, by sample and cell type, whose scores are added up.

    of_cells: (n_cells,) the group of each cell, by rank. names: a row a group, sample_id and cell_type.
    """

    of_cells: NDArray[np.int32]
    names: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """Of the sums."""
        return pa.schema([*self.names.schema, *SUMS])

    def sums(self, found: SortedScores) -> pa.Table:
        """The cube of a range of genes, by gene and group: n_nonzero, and sums in double precision.

        Groups without a score of a gene have no row.
        """
        parts = [self._sums(genes) for genes in found.divided(max(1, MOST_SUMS // len(self.names)))]
        groups, *columns = map(np.concatenate, zip(*parts, strict=True))
        return pa.table([*self.names.take(groups).columns, *columns], schema=self.schema)

    def _sums(self, found: SortedScores) -> tuple[NDArray[np.generic], ...]:
        """What `sums` gives of some genes: the group of each row, then the columns.

        Cells of a group are mostly beside each other, so runs of them are added up first, and then what they come to.
        """
        starts = found.starts
        group = self.of_cells.take(found.ranks)  # faster than an index
        is_first = np.ones(len(group) + 1, np.bool_)
        np.not_equal(group[1:], group[:-1], out=is_first[1:-1])
        is_first[starts] = True
        bounds = np.flatnonzero(is_first)
        firsts = bounds[:-1]
        runs_of_genes = np.diff(np.searchsorted(bounds, starts))
        row = np.repeat(np.arange(len(found.gene_ids)) * len(self.names), runs_of_genes) + group[firsts]
        n = np.bincount(row, np.diff(bounds))
        there = np.flatnonzero(n)
        signed = found.scores.astype(np.float64)
        sums = [
            np.bincount(row, np.add.reduceat(values, firsts))[there]
            for values in (np.abs(signed), signed, np.square(signed))
        ]
        gene, group = np.divmod(there, len(self.names))
        return group, found.gene_ids[gene], n[there].astype(np.int64), *sums


def insert(
    con: duckdb.DuckDBPyConnection,
    name: str,
    parameters: Mapping[str, object],
    relation: str,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
) -> None:
    """Add tables to one of the atlas by one statement of `sql/` that reads `relation`, each made when it is asked for.

    One statement, since each closes a row group and waits for all threads at its end; and DuckDB keeps every table that
    is registered within a transaction until the end of that, so that none is. Raises what a table raises.
    """
    raised: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from row_groups(tables)
        except BaseException as error:  # DuckDB would tell of its text only
            raised.append(error)
            raise

    try:
        run_statement(con, name, parameters, **{relation: pa.RecordBatchReader.from_batches(schema, batches())})
    except duckdb.Error as error:
        if raised:
            raise raised[0] from error
        raise


def row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    """The rows of tables, as many at a time as a row group has, so that DuckDB's threads write whole ones.

    Rows are copied only where a row group is of several tables.
    """
    waiting: list[pa.Table] = []
    for table in tables:
        lacking = (ROW_GROUP_SIZE - sum(map(len, waiting))) % ROW_GROUP_SIZE
        waiting.append(table[:lacking])
        if len(table) < lacking:
            continue
        yield from pa.concat_tables(waiting).combine_chunks().to_batches()
        n = (len(table) - lacking) // ROW_GROUP_SIZE * ROW_GROUP_SIZE
        yield from table[lacking : lacking + n].to_batches(max_chunksize=ROW_GROUP_SIZE)
        waiting = [table[lacking + n :]]
    if waiting:
        yield from pa.concat_tables(waiting).combine_chunks().to_batches()


def merged(stage: Stage, look: Callable[[SortedScores], None] = lambda found: None) -> Iterator[SortedScores]:
    """All scores of a stage, a range of genes after the other; the next is merged while the caller has the last.

    look: shown each range, in order, by the thread that merges.
    """
    gene_ids, counts = np.sort(stage.gene_ids), stage.gene_counts()

    def work(genes: tuple[int, int]) -> SortedScores:
        start, stop = genes
        found = merge(stage, start, gene_ids[start:stop], counts[start:stop])
        look(found)
        return found

    return ahead(work, gene_ranges(counts, len(stage.ranks)))


def gene_ranges(counts: NDArray[np.int64], n_cells: int) -> Iterator[tuple[int, int]]:
    """Ranges of genes, from start to before stop, that have about BATCH scores each, and not too many places.

    Ranges without scores are left out.
    """
    batches = (np.cumsum(counts) - counts) // BATCH
    starts = np.flatnonzero(np.diff(batches, prepend=-1))
    step = 1 << (PLACE_BITS - rank_bits(n_cells))
    for start, stop in pairwise([*starts.tolist(), len(counts)]):
        for first in range(start, stop, step):
            if counts[first : min(stop, first + step)].any():
                yield first, min(stop, first + step)


def merge(stage: Stage, start: int, gene_ids: NDArray[np.uint32], lengths: NDArray[np.int64]) -> SortedScores:
    """The scores of genes, sorted; `start` is the place of the first among those of the stage.

    Each is packed into a number, gene and rank before the bits of the score: numpy sorts numbers faster than it finds
    the order of anything.
    """
    bits = rank_bits(len(stage.ranks))
    genes = np.arange(len(gene_ids), dtype=np.uint32) << bits
    found, n = np.empty(lengths.sum(), SCORE), 0
    for lengths_there, scores in stage.scores_of(start, start + len(gene_ids)):
        part = found[n : n + len(scores)]
        part.view(PACKED)[:] = scores.view(PACKED)  # faster than field by field
        part["rank"] |= np.repeat(genes, lengths_there)
        n += len(scores)
    found.view(PACKED).sort()
    return SortedScores(gene_ids, lengths, found["rank"] & np.uint32((1 << bits) - 1), found["score"].copy())


def rank_bits(n_cells: int) -> int:
    """The bits that the rank of a cell takes."""
    return (n_cells - 1).bit_length()
