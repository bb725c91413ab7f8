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
# What a process sent, in effect, if it has ended by itself.
ENDED = ("out_of_memory", "The process of this query ended. Most likely, the query needs too much memory.")
# After these refusals, a process may have too little memory left, or a database that does not answer any more.
BROKEN = ("out_of_memory", "failed")


class Process:
    """A process that runs one query at a time. It ends when this process ends, however that happens."""

    def __init__(self, limits: Limits) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, limits), daemon=True, name="sigdb-query")
        self.process.start()
        other.close()
        self.is_ready = False
        # Whose queries it ran last, and on which atlas.
        self.place: object = None

    def wait(self) -> None:
        """Wait until it has started, which is not part of the time of a query. Raises Refused if it does not start."""
        if not self.is_ready:
            try:
                self.is_ready = bool(self.pipe.recv_bytes())
            except (EOFError, OSError):
                raise Refused("failed", "A process for queries did not start. Is there too little memory?") from None

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
        # How it ended, for the log.
        self.outcome = "cancelled"
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
        received = self.receive()
        while received[:1] == b"B":
            if self.reason is None:
                yield pa.ipc.open_stream(pa.py_buffer(received)[1:])
            received = self.receive()
        self.finish()
        refused = self.reason or (Refused(*json.loads(received[1:])) if received[:1] == b"R" else None)
        self.outcome = refused.kind if refused else "ok"
        if refused is not None:
            if refused.kind in BROKEN:
                self.process.end()
            raise refused

    def receive(self) -> bytes:
        """The next message of the process. If it has ended, this is a refusal."""
        try:
            return self.process.pipe.recv_bytes()
        except (EOFError, OSError):
            return b"R" + json.dumps(ENDED).encode()

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
        process = self.lend(None)
        process.wait()
        self.take_back(process)

    def close(self) -> None:
        """End all processes."""
        atexit.unregister(self.close)
        with self.lock:
            for each in [*self.idle, *self.lent]:
                each.end()
            self.idle = []
