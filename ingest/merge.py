"""The scores of all chunks of a stage in the order of the atlas, by gene and cell, a range of genes at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import duckdb
import numpy as np
import pyarrow as pa

from sigdb.catalog import run_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from numpy.typing import NDArray

    from ingest.stage import Stage

__all__ = ["Appender", "Groups", "SortedScores", "merged"]

# Scores that are merged at a time; a gene is never divided.
BATCH = 2_000_000
# Sums, of genes x groups, that are added up at a time: they stay in a core's cache.
MOST_SUMS = 1 << 17
# Whether DuckDB asks what is registered for its rows each time that it needs them.
STREAMS_ANEW = int(duckdb.__version__.split(".")[0]) >= 2
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
        return pa.table({"gene_id": genes, "rank": self.ranks, "score": self.scores})


@dataclass(frozen=True)
class Groups:
    """The groups of cells, by sample and cell type, whose scores are added up.

    of_cells: (n_cells,) the group of each cell, by rank. names: a row a group, sample_id and cell_type.
    """

    of_cells: NDArray[np.int32]
    names: pa.Table

    def sums(self, found: SortedScores) -> pa.Table:
        """The cube of a range of genes, by gene and group: n_nonzero, and sums in double precision.

        Groups without a score of a gene have no row.
        """
        step = max(1, MOST_SUMS // len(self.names))
        ends = np.concatenate([[0], np.cumsum(found.lengths)])
        genes, groups, columns = [], [], []
        for first in range(0, len(found.gene_ids), step):
            lengths = found.lengths[first : first + step]
            these = slice(ends[first], ends[first + len(lengths)])
            row = np.repeat(np.arange(len(lengths)) * len(self.names), lengths)
            row += self.of_cells[found.ranks[these]]
            n = np.bincount(row)
            there = np.flatnonzero(n)
            signed = found.scores[these].astype(np.float64)
            sums = [np.bincount(row, weights)[there] for weights in (np.abs(signed), signed, np.square(signed))]
            columns.append([n[there], *sums])
            genes.append(found.gene_ids[first + there // len(self.names)])
            groups.append(there % len(self.names))
        names = ("n_nonzero", "sum_abs", "sum_signed", "sum_sq")
        table: pa.Table = self.names.take(np.concatenate(groups)).append_column("gene_id", [np.concatenate(genes)])
        for name, *parts in zip(names, *columns, strict=True):
            table = table.append_column(name, [np.concatenate(parts)])
        return table


class Appender:
    """Adds tables to one of the atlas by a statement of `sql/` that reads `relation`; a context manager.

    Whole row groups are added, what is left waits for the next table or for the end: each insert closes a row group.
    DuckDB keeps every table that is registered within a transaction until its end, even when the name is gone. So what
    is registered is this object, once, which is another table each time. DuckDB 1 asks such an object once only; it is
    given, and keeps, the tables.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, object], relation: str
    ) -> None:
        self.con, self.name, self.parameters, self.relation = con, name, parameters, relation
        self.now: pa.Table | None = None
        self.waiting: pa.Table | None = None

    def __enter__(self) -> Self:
        """Return the appender itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Add what still waits, unless there was an error."""
        if kind is None and self.waiting is not None:
            self.insert(self.waiting)
            if STREAMS_ANEW:
                self.con.unregister(self.relation)

    def add(self, table: pa.Table) -> None:
        """Add a table; its columns are those of the first one."""
        every = table if self.waiting is None else pa.concat_tables([self.waiting, table])
        n = len(every) // ROW_GROUP * ROW_GROUP
        self.insert(every.slice(0, n))
        self.waiting = every.slice(n)

    def insert(self, table: pa.Table) -> None:
        """Run the statement for a table."""
        if not STREAMS_ANEW:
            run_statement(self.con, self.name, self.parameters, **{self.relation: table})
            return
        is_new, self.now = self.now is None, table
        if is_new:
            self.con.register(self.relation, self)
        run_statement(self.con, self.name, self.parameters)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table that is to be added now, as a stream of Arrow's C interface, in pieces for several threads."""
        assert self.now is not None
        batches = self.now.to_batches(max_chunksize=ROW_GROUP)
        return pa.RecordBatchReader.from_batches(self.now.schema, batches).__arrow_c_stream__(requested_schema)


def merged(stage: Stage) -> Iterator[SortedScores]:
    """All scores of a stage, a range of genes after the other; the next is merged while the caller has the last."""
    gene_ids, counts = np.sort(stage.gene_ids), stage.gene_counts()
    with ThreadPoolExecutor(1) as thread:
        ahead = None
        for start, stop in gene_ranges(counts, len(stage.ranks)):
            following = thread.submit(merge, stage, start, gene_ids[start:stop], counts[start:stop])
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
