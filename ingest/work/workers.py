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
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from ingest.attribution.device import place
from sigdb.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.sharedctypes import Synchronized
    from types import TracebackType

    from ingest.attribution.device import Compute
    from ingest.counts.matrix import RowReader
    from ingest.work.job import Job


__all__ = ["Worker", "Workers"]

log = logging.getLogger(__name__)

# A shard that has killed this many processes in a row would kill the next one too.
MOST_DEATHS = 3


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
