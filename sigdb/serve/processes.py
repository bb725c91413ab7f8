"""The processes in which queries run: started when they are needed, kept for the next query, ended if need be."""

from __future__ import annotations

import atexit
import json
from contextlib import suppress
from multiprocessing import get_context, util  # noqa: F401 - it ends processes at exit, after `Processes.close`
from threading import Lock, Timer
from typing import TYPE_CHECKING

import pyarrow as pa

from sigdb.serve.limits import Limits, Refused
from sigdb.serve.worker import Question, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["GRACE", "Process", "Processes", "Run"]

# Seconds that a query has to end after it was interrupted. Then its process is ended.
GRACE = 1.0


class Process:
    """A process that runs one query at a time. It ends when this process ends, however that happens."""

    def __init__(self, limits: Limits) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, limits), daemon=True, name="sigdb-query")
        self.process.start()
        other.close()
        # Whose queries it ran last, and on which atlas.
        self.place: object = None

    def is_alive(self) -> bool:
        """Whether it can run a query."""
        return self.process.is_alive()

    def end(self) -> None:
        """End it at once, whatever it does."""
        self.process.kill()
        self.process.join()


class Run:
    """One query in a process."""

    def __init__(self, process: Process, question: Question, limits: Limits) -> None:
        """Send the query."""
        self.process = process
        self.lock = Lock()
        self.has_ended = False
        self.reason: Refused | None = None
        self.timers: list[Timer] = []
        process.place = question.place()
        with suppress(OSError):  # the process has just ended, which `parts` says
            process.pipe.send(question)
        self.after(limits.seconds, lambda: self.stop(too_slow(limits)))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in some seconds, unless the query has ended."""
        timer = Timer(seconds, action)
        timer.daemon = True
        self.timers.append(timer)
        timer.start()

    def parts(self) -> Iterator[pa.RecordBatchReader]:
        """The rows as they come. The first part only says which columns there are. Raises Refused."""
        try:
            while (received := self.process.pipe.recv_bytes())[:1] == b"B":
                if self.reason is None:
                    yield pa.ipc.open_stream(pa.py_buffer(received)[1:])
        except (EOFError, OSError):
            self.finish()
            self.process.end()
            raise self.reason or Refused(
                "out_of_memory", "The process of this query ended. Most likely, the query needs too much memory."
            ) from None
        self.finish()
        if self.reason is not None:
            raise self.reason
        if received[:1] == b"R":
            raise Refused(*json.loads(received[1:]))

    def finish(self) -> None:
        """Note that the query has ended."""
        with self.lock:
            self.has_ended = True
            for timer in self.timers:
                timer.cancel()

    def stop(self, reason: Refused) -> None:
        """Stop the query, unless it has ended. If it does not listen, end its process."""
        with self.lock:
            if self.has_ended or self.reason is not None:
                return
            self.reason = reason
            with suppress(OSError):
                self.process.pipe.send("stop")
            self.after(GRACE, self.end)

    def end(self) -> None:
        """End the process, unless the query has ended."""
        with self.lock:
            if not self.has_ended:
                self.process.end()

    def close(self) -> None:
        """Stop the query if it runs, and wait until its process can be used again, or has ended."""
        if not self.has_ended:
            self.stop(Refused("cancelled", "The query was stopped."))
            with suppress(Refused):
                for _ in self.parts():
                    pass


def too_slow(limits: Limits) -> Refused:
    """The refusal of a query that takes too long."""
    return Refused(
        "timeout",
        f"The query took longer than {limits.seconds:g} seconds, the limit of this server. Ask for fewer cells or "
        "genes at a time.",
    )


class Processes:
    """At most `limits.at_once` processes. The gate asks for no more than that at once."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.lock = Lock()
        self.idle: list[Process] = []
        self.lent: set[Process] = set()
        # At exit, Python would wait for processes that ignore its signal.
        atexit.register(self.close)

    def lend(self, place: object) -> Process:
        """An idle process, if possible one with an open connection for this person and atlas."""
        with self.lock:
            self.idle = [each for each in self.idle if each.is_alive()]
            found = [each for each in self.idle if each.place == place]
            if not found and len(self.lent) + len(self.idle) >= self.limits.at_once:
                found = self.idle[:1]  # the one that is idle for longest
            process = found[0] if found else Process(self.limits)
            self.idle = [each for each in self.idle if each is not process]
            self.lent.add(process)
            return process

    def take_back(self, process: Process) -> None:
        """Keep a process for the next query."""
        with self.lock:
            self.lent.remove(process)
            self.idle.append(process)

    def warm_up(self) -> None:
        """Start a process, so that the first query need not wait for it."""
        self.take_back(self.lend(None))

    def close(self) -> None:
        """End all processes."""
        atexit.unregister(self.close)
        with self.lock:
            for each in [*self.idle, *self.lent]:
                each.end()
            self.idle = []
