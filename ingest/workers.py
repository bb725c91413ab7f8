"""A study's cells, attributed chunk by chunk: in this process, or in several that a killed one does not take down."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

import numpy as np

from ingest.ahead import ahead
from ingest.attribution import scale
from ingest.compute import attribute_cells, place
from ingest.stage import Chunk, Stage
from sigdb.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.sharedctypes import Synchronized
    from types import TracebackType

    from scipy.sparse import csr_matrix

    from ingest.align import GeneMap
    from ingest.attribution import Method
    from ingest.compute import Compute
    from ingest.models import CellModel
    from ingest.rows import RowReader, RowSource

__all__ = ["Job", "Worker", "Workers"]

log = logging.getLogger(__name__)

# A shard that has killed this many processes in a row would kill the next one too.
MOST_DEATHS = 3


@dataclass(frozen=True)
class Job:
    """Everything that it takes to attribute the cells of one file, and where to keep what is found.

    n_chunk: cells of a chunk. batch_size: cells attributed at a time; 0 for what fits where it is done. device,
    versions: what the ledger shall say.
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
        """How many cells chunk `number` has."""
        return int(min(self.n_chunk, self.source.shape[0] - number * self.n_chunk))

    def read(self, file: RowReader, number: int) -> csr_matrix:
        """The counts of chunk `number`, over the file's columns."""
        return file.rows(number * self.n_chunk, (number + 1) * self.n_chunk)

    def attribute(self, counts: csr_matrix, done: Callable[[int], None] = lambda n: None) -> Chunk:
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

    def keep(self, number: int, chunk: Chunk) -> None:
        """Keep chunk `number`."""
        self.stage.write(number, number * self.n_chunk, chunk, device=self.device, versions=self.versions)

    def run(self, file: RowReader, numbers: Sequence[int], done: Callable[[int], None]) -> None:
        """Do these chunks in this process. One thread reads ahead and one writes, while this one computes."""
        with closing(ahead(partial(self.read, file), numbers)) as read:
            chunks = ((number, self.attribute(counts, done)) for number, counts in zip(numbers, read, strict=True))
            for _ in ahead(lambda chunk: self.keep(*chunk), chunks):
                pass


class Workers:
    """Processes that do the chunks of a job; a context manager that ends them.

    n_deaths: how many processes were lost, whose chunks were then done again.
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

    def run(self, numbers: Sequence[int], done: Callable[[int], None]) -> None:
        """Do these chunks; few of them are under way at a time."""
        waiting = deque(numbers)
        under_way: deque[tuple[int, Future[int]]] = deque()
        deaths_in_a_row = 0
        while waiting or under_way:
            try:
                while waiting and len(under_way) < 2 * self.compute.workers:
                    under_way.append((waiting[0], self.pool.submit(do_chunk, waiting[0])))
                    waiting.popleft()
                n_cells = under_way[0][1].result()
            except BrokenProcessPool as error:
                deaths_in_a_row += 1
                if deaths_in_a_row == MOST_DEATHS:
                    raise DeviceError(
                        f"Worker processes were killed {MOST_DEATHS} times in a row: out of memory? Nothing was stored "
                        "in the atlas. Use fewer --workers, or a smaller --batch-size."
                    ) from error
                self.replace_pool()
                under_way = deque(
                    (number, future if is_whole(future) else self.pool.submit(do_chunk, number))
                    for number, future in under_way
                )
                continue
            deaths_in_a_row = 0
            under_way.popleft()
            done(n_cells)

    def replace_pool(self) -> None:
        """After a process was killed, which ends the others of its pool too."""
        self.n_deaths += 1
        log.warning("A worker process was killed. Another takes its place, and its cells are attributed again.")
        self.pool.shutdown(cancel_futures=True)
        self.pool = self.new_pool()


def is_whole(future: Future[int]) -> bool:
    """Whether a chunk was done before the pool broke."""
    return future.done() and not future.cancelled() and future.exception() is None


class Worker:
    """What a process does its chunks with: the model in its place, and the file open, from its first chunk on.

    job: a Job, pickled. What can fail is left to the first chunk, which can say so.
    """

    def __init__(self, job: bytes, compute: Compute) -> None:
        self.pickled = job
        self.compute = compute
        self.files = ExitStack()

    @cached_property
    def job(self) -> Job:
        """The job, with the model where it shall compute."""
        job: Job = pickle.loads(self.pickled)
        model, fitting = place(job.model, self.compute)
        self.pickled = b""  # the model twice would be once too many
        return replace(job, model=model, batch_size=job.batch_size or fitting, device=self.compute.device)

    @cached_property
    def file(self) -> RowReader:
        """The file of the job."""
        return self.files.enter_context(self.job.source.open())

    def do(self, number: int) -> int:
        """Do chunk `number`, unless it is there; return how many cells it has."""
        job = self.job
        if not job.stage.has(number):  # a process that was killed may have done it before it could say so
            job.keep(number, job.attribute(job.read(self.file, number)))
        return job.cells_of(number)

    def close(self) -> None:
        """Close the file."""
        self.files.close()


# That of a worker process, from `begin` on.
_worker: list[Worker] = []


def begin(job: bytes, compute: Compute, started: Synchronized[int]) -> None:
    """Tell a new worker process its number and its job."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    with started.get_lock():
        _worker[:] = [Worker(job, compute.of_worker(started.value))]
        started.value += 1


def end_with_parent() -> None:
    """End this process when the one that started it is gone, killed or not: nobody else would."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def do_chunk(number: int) -> int:
    """In a worker process: do chunk `number`; return how many cells it has."""
    return _worker[0].do(number)
