"""The scores of all chunks of a stage in the order of the atlas, by gene and cell, a range of genes at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

from sigdb.catalog import run_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from ingest.stage import Stage

__all__ = ["SCORES", "Groups", "SortedScores", "insert", "merged"]

SCORES = pa.schema({"gene_id": pa.uint16(), "rank": pa.uint32(), "score": pa.float32()})
# What a group has of a gene.
SUMS = pa.schema(
    {
        "gene_id": pa.uint16(), "n_nonzero": pa.int64(), "sum_abs": pa.float64(), "sum_signed": pa.float64(),
        "sum_sq": pa.float64(),
    }
)  # fmt: skip

# Scores that are merged at a time; a gene is never divided.
BATCH = 2_000_000
# Sums, of genes x groups, that are added up at a time: they stay in a core's cache.
MOST_SUMS = 1 << 17
# Rows of a row group of DuckDB.
ROW_GROUP = 122_880
# A score is sorted as a number of 64 bits: those of its gene within the range and of its rank, and its own.
SCORE_BITS = 32
PLACE_BITS = 64 - SCORE_BITS


@dataclass(frozen=True)
class SortedScores:
    """The scores of a range of genes, by gene and rank, which is the place of a cell among those of its study.

    gene_ids: (n_genes,), ascending; lengths: (n_genes,) how many scores each has. ranks, scores: (n,).
    """

    gene_ids: NDArray[np.uint16]
    lengths: NDArray[np.int64]
    ranks: NDArray[np.uint32]
    scores: NDArray[np.float32]

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
        step = max(1, MOST_SUMS // len(self.names))
        ends = np.concatenate([[0], np.cumsum(found.lengths)])
        groups, columns = [], []
        for first in range(0, len(found.gene_ids), step):
            lengths = found.lengths[first : first + step]
            these = slice(ends[first], ends[first + len(lengths)])
            row = np.repeat(np.arange(len(lengths)) * len(self.names), lengths)
            row += self.of_cells[found.ranks[these]]
            n = np.bincount(row)
            there = np.flatnonzero(n)
            signed = found.scores[these].astype(np.float64)
            sums = [np.bincount(row, weights)[there] for weights in (np.abs(signed), signed, np.square(signed))]
            groups.append(there % len(self.names))
            columns.append([found.gene_ids[first + there // len(self.names)], n[there], *sums])
        names = self.names.take(np.concatenate(groups)).columns
        return pa.table([*names, *map(np.concatenate, zip(*columns, strict=True))], schema=self.schema)


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
    """The rows of tables, as many at a time as a row group has, so that DuckDB's threads write whole ones."""
    waiting: list[pa.Table] = []
    for table in tables:
        every = pa.concat_tables([*waiting, table]).combine_chunks()
        n = len(every) // ROW_GROUP * ROW_GROUP
        yield from every.slice(0, n).to_batches(max_chunksize=ROW_GROUP)
        waiting = [every.slice(n)]
    for table in waiting:
        yield from table.to_batches()


def merged(stage: Stage, look: Callable[[SortedScores], None] = lambda found: None) -> Iterator[SortedScores]:
    """All scores of a stage, a range of genes after the other; the next is merged while the caller has the last.

    look: shown each range, in order, by the thread that merges.
    """
    gene_ids, counts = np.sort(stage.gene_ids), stage.gene_counts()

    def work(start: int, stop: int) -> SortedScores:
        found = merge(stage, start, gene_ids[start:stop], counts[start:stop])
        look(found)
        return found

    with ThreadPoolExecutor(1) as thread:
        ahead = None
        for start, stop in gene_ranges(counts, len(stage.ranks)):
            following = thread.submit(work, start, stop)
            if ahead:
                yield ahead.result()
            ahead = following
        if ahead:
            yield ahead.result()


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


def merge(stage: Stage, start: int, gene_ids: NDArray[np.uint16], lengths: NDArray[np.int64]) -> SortedScores:
    """The scores of genes, sorted; `start` is the place of the first among those of the stage.

    Each is packed into a number, gene and rank before the bits of the score: numpy sorts numbers faster than it finds
    the order of anything.
    """
    bits = rank_bits(len(stage.ranks))
    genes = np.arange(len(gene_ids), dtype=np.uint64) << bits
    packed, n = np.empty(lengths.sum(), np.uint64), 0
    for lengths_there, ranks, scores in stage.scores_of(start, start + len(gene_ids)):
        part = packed[n : n + len(ranks)]
        np.bitwise_or(np.repeat(genes, lengths_there), ranks, out=part)
        part <<= SCORE_BITS
        part |= scores.view(np.uint32)
        n += len(ranks)
    packed.sort()
    scores = packed.astype(np.uint32).view(np.float32)
    packed >>= SCORE_BITS
    packed &= (1 << bits) - 1
    return SortedScores(gene_ids, lengths, packed.astype(np.uint32), scores)


def rank_bits(n_cells: int) -> int:
    """The bits that the rank of a cell takes."""
    return (n_cells - 1).bit_length()
