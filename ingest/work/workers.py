"""Worker processes that attribute chunks of a study. If one is killed, another does its chunks."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import torch

from ingest.attribution.device import find_device, set_up
from sigdb.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.sharedctypes import Synchronized
    from types import TracebackType

    from ingest.counts.matrix import RowReader
    from ingest.options import Compute
    from ingest.work.job import Job


__all__ = ["Worker", "Workers"]

log = logging.getLogger(__name__)

# A chunk that has killed this many processes in a row would kill the next one too.
MOST_DEATHS = 3


class Workers:
    """Processes that attribute the chunks of a job; a context manager that ends them.

    n_deaths: how many times processes were killed and replaced.
    """

    def __init__(self, job: Job, compute: Compute) -> None:
        self.context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.job = pickle.dumps(job)
        self.compute = compute
        self.started = self.context.Value("i", 0)
        self.n_deaths = 0
        self.pool = self.new_pool()

    def new_pool(self) -> ProcessPoolExecutor:
        """A pool of `compute.workers` processes."""
        return ProcessPoolExecutor(
            self.compute.workers,
            self.context,
            initializer=start_worker,
            initargs=(self.job, self.compute, self.started),
        )

    def __enter__(self) -> Self:
        """Return the workers themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes. Chunks that are not started stay undone; after Ctrl-C, started ones too."""
        if kind is not None and not issubclass(kind, Exception):
            for process in list(self.pool._processes.values()):
                process.kill()  # as `kill_workers` does, from Python 3.14 on
        self.pool.shutdown(cancel_futures=True)

    def run(self, numbers: Sequence[int], done: Callable[[int], None]) -> None:
        """Attribute chunks, with at most two for each worker in the queue at a time."""
        waiting = deque(numbers)
        under_way: deque[tuple[int, Future[int]]] = deque()
        deaths_in_a_row = 0
        while waiting or under_way:
            try:
                while waiting and len(under_way) < 2 * self.compute.workers:
                    under_way.append((waiting[0], self.submit(waiting[0])))
                    waiting.popleft()
                n_cells = under_way[0][1].result()
            except BrokenProcessPool as error:
                deaths_in_a_row += 1
                if deaths_in_a_row == MOST_DEATHS:
                    raise DeviceError(
                        f"Worker processes were killed {MOST_DEATHS} times in a row, perhaps for lack of memory. "
                        "Nothing was stored in the atlas. Use fewer `workers`, or a smaller `batch_size`."
                    ) from error
                self.replace_pool()
                under_way = deque(
                    (number, future if has_result(future) else self.submit(number)) for number, future in under_way
                )
                continue
            deaths_in_a_row = 0
            under_way.popleft()
            done(n_cells)

    def submit(self, number: int) -> Future[int]:
        """Have a process attribute chunk `number`; the pool may start a process for it."""
        with blocked_interrupt():
            return self.pool.submit(do_chunk, number)

    def replace_pool(self) -> None:
        """Start a new pool after a process was killed, which ends the other processes of its pool too."""
        self.n_deaths += 1
        log.warning("A worker process was killed. Another one replaces it and attributes its cells again.")
        self.pool.shutdown(cancel_futures=True)
        self.pool = self.new_pool()


@contextmanager
def blocked_interrupt() -> Iterator[None]:
    """Block SIGINT in processes that the block starts. A terminal sends Ctrl-C to them too; their parent answers."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def has_result(future: Future[int]) -> bool:
    """Whether a chunk was finished before the pool broke."""
    return future.done() and not future.cancelled() and future.exception() is None


class Worker:
    """The state of a process that attributes chunks: the model on its device, and the open file.

    job: a pickled Job. Model and file are set up for the first chunk, because an error there can be reported.
    """

    def __init__(self, job: bytes, compute: Compute) -> None:
        self.pickled = job
        self.compute = compute
        self.files = ExitStack()

    @cached_property
    def job(self) -> Job:
        """The job, with the model on the device of this worker."""
        job: Job = pickle.loads(self.pickled)
        compute = find_device(self.compute)
        model, batch_size = set_up(job.model, compute)
        self.pickled = b""  # free the memory of the second copy of the model
        return replace(job, model=model, batch_size=job.batch_size or batch_size, device=compute.device)

    @cached_property
    def file(self) -> RowReader:
        """The file of the job, open."""
        return self.files.enter_context(self.job.source.open())

    def do(self, number: int) -> int:
        """Attribute chunk `number`, unless the stage has it; return its number of cells."""
        job = self.job
        if not job.stage.has(number):  # a killed process may have finished it without reporting it
            job.keep(number, job.attribute(job.read(self.file, number)))
        return job.cells_of(number)

    def close(self) -> None:
        """Close the file."""
        self.files.close()


# The worker of this process, after `start_worker`.
_worker: list[Worker] = []


def start_worker(job: bytes, compute: Compute, started: Synchronized[int]) -> None:
    """In a new worker process: take a number and the job."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    with started.get_lock():
        _worker[:] = [Worker(job, compute.of_worker(started.value, torch.cuda.device_count()))]
        started.value += 1


def end_with_parent() -> None:
    """End this process when its parent process has ended, even if the parent was killed."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def do_chunk(number: int) -> int:
    """In a worker process: attribute chunk `number`; return its number of cells."""
    return _worker[0].do(number)
