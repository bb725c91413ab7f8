"""Shards of a study's cells: attributed in this process, or in several that a killed one does not take down."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ingest.attribution import scale
from ingest.compute import attribute_cells, place
from ingest.write import Chunk
from sigdb.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.sharedctypes import Synchronized
    from types import TracebackType

    from scipy.sparse import csr_matrix

    from ingest.align import GeneMap
    from ingest.attribution import Method
    from ingest.compute import Compute
    from ingest.models import CellModel
    from ingest.rows import RowSource

__all__ = ["Job", "Workers"]

log = logging.getLogger(__name__)

# A shard that has killed this many processes in a row would kill the next one too.
MOST_DEATHS = 3


@dataclass(frozen=True)
class Job:
    """Everything that it takes to attribute cells of one file."""

    source: RowSource
    genes: GeneMap
    model: CellModel
    method: Method
    baseline: csr_matrix | None
    batch_size: int

    def chunk(self, counts: csr_matrix, done: Callable[[int], None] = lambda n: None) -> Chunk:
        """Attribute cells, given their counts over the file's columns."""
        found = attribute_cells(
            self.model, self.genes(counts), self.method,
            baseline=self.baseline, batch_size=self.batch_size, done=done,
        )  # fmt: skip
        scores, scales = scale(found)
        return Chunk(
            n_counts=np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel(),
            n_genes=np.diff(counts.indptr),
            scores=scores,
            scale=scales,
            delta=np.where(np.isnan(scales), np.nan, found.delta),
        )


class Workers:
    """Processes that attribute the shards of a job; a context manager that ends them.

    n_deaths: how many processes were lost, whose shards were then done again.
    """

    def __init__(self, job: Job, compute: Compute) -> None:
        self.context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.job = pickle.dumps(job)
        self.compute = compute
        self.started = self.context.Value("i", 0)
        self.n_deaths = 0
        self.pool = self.new_pool()

    def new_pool(self) -> ProcessPoolExecutor:
        """As many processes as there shall be."""
        return ProcessPoolExecutor(
            self.compute.workers, self.context, initializer=begin, initargs=(self.job, self.compute, self.started)
        )

    def __enter__(self) -> Self:
        """Return the workers themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; what they have not begun is not done."""
        self.pool.shutdown(cancel_futures=True)

    def chunks(self, n_cells: int, size: int) -> Iterator[Chunk]:
        """Yield all cells, attributed, `size` at a time and in order; few shards are under way at a time."""
        starts = deque(range(0, n_cells, size))
        under_way: deque[tuple[int, Future[Chunk]]] = deque()
        deaths_in_a_row = 0
        while starts or under_way:
            try:
                while starts and len(under_way) < 2 * self.compute.workers:
                    under_way.append((starts[0], self.pool.submit(attribute_shard, starts[0], starts[0] + size)))
                    starts.popleft()
                chunk = under_way[0][1].result()
            except BrokenProcessPool as error:
                deaths_in_a_row += 1
                if deaths_in_a_row == MOST_DEATHS:
                    raise DeviceError(
                        f"Worker processes were killed {MOST_DEATHS} times in a row: out of memory? Nothing was "
                        "stored. Use fewer --workers, or a smaller --batch-size."
                    ) from error
                self.replace_pool()
                under_way = deque(
                    (start, future if is_whole(future) else self.pool.submit(attribute_shard, start, start + size))
                    for start, future in under_way
                )
                continue
            deaths_in_a_row = 0
            under_way.popleft()
            yield chunk

    def replace_pool(self) -> None:
        """After a process was killed, which ends the others of its pool too."""
        self.n_deaths += 1
        log.warning("A worker process was killed. Another takes its place, and its cells are attributed again.")
        self.pool.shutdown(cancel_futures=True)
        self.pool = self.new_pool()


def is_whole(future: Future[Chunk]) -> bool:
    """Whether a shard was attributed before the pool broke."""
    return future.done() and not future.cancelled() and future.exception() is None


# What a worker process knows: what `begin` was given, and from its first shard on the job and the open file.
_worker: dict[str, Any] = {}


def begin(job: bytes, compute: Compute, started: Synchronized[int]) -> None:
    """Tell a new worker process its number and its job. What can fail is left to the first shard, which can say so."""
    with started.get_lock():
        _worker.update(job=job, compute=compute.of_worker(started.value))
        started.value += 1


def attribute_shard(start: int, stop: int) -> Chunk:
    """In a worker process: attribute cells start to stop."""
    if "file" not in _worker:
        job: Job = pickle.loads(_worker["job"])
        model, _ = place(job.model, _worker["compute"])
        files = ExitStack()
        file = files.enter_context(job.source.open())
        _worker.update(job=replace(job, model=model), files=files, file=file)
    chunk: Chunk = _worker["job"].chunk(_worker["file"].rows(start, stop))
    return chunk
