"""End a command on SIGINT, SIGTERM or SIGHUP as on Ctrl-C: with a message, after cleaning up, and in bounded time."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, NoReturn

from sigdb.interrupt import interrupt_readers

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["end", "listen", "received", "started", "stopped"]

# Windows has no SIGHUP.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# Seconds until a command that is still cleaning up says so.
ANSWER = 0.7
# Seconds for cleaning up. Some queries of DuckDB do not stop before they are finished.
GRACE = 10.0
# Commands that keep what is finished, and continue from there.
CONTINUING = {"ingest", "ingest-spark", "load", "import-signature"}
# The commands that this process has started: one, except in tests.
started: list[str] = []
# The signals that this process has received.
received: list[int] = []


def listen() -> None:
    """Have the signals raise KeyboardInterrupt. A signal that the caller ignores, as nohup does, stays ignored."""
    if current_thread() is not main_thread():
        return  # only the main thread may have handlers
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    for number in numbers:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # Python calls `interrupt` in the main thread only, and not while that thread runs a query.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    Thread(target=end_late, args=(reader,), daemon=True).start()


def interrupt(number: int, _: FrameType | None) -> None:
    """Raise KeyboardInterrupt once. Only Ctrl-C can also interrupt the cleaning up."""
    received.append(number)
    interrupt_readers()  # DuckDB sees the signal at times, but does not end the query
    if len(received) == 1 or number == signal.SIGINT:
        raise KeyboardInterrupt


def end_late(reader: int) -> None:
    """After a signal, end the process if it does not end by itself. The atlas is as after a kill: as it was."""
    number = os.read(reader, 1)[0]
    end_queries(min(ANSWER, GRACE))
    sys.stderr.write(f"\nStopping. This takes {GRACE:.0f} seconds at most.\n")
    sys.stderr.flush()
    end_queries(GRACE - ANSWER)
    sys.stderr.write(f"Error: {stopped(number)}\n")
    sys.stderr.flush()
    os._exit(128 + number)


def end_queries(seconds: float) -> None:
    """Wait for some seconds. Interrupt connections that read until the main thread has seen the signal."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not received:
            interrupt_readers()
        time.sleep(0.05)


def end() -> NoReturn:
    """End the process after a signal, once the command has cleaned up. Python would take seconds to unload torch."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + received[0])


def stopped(number: int) -> str:
    """The message about a signal."""
    text = f"Stopped by {signal.Signals(number).name}."
    if started and started[-1] in CONTINUING:
        text += " What was finished is kept, and the rest is undone. The same command goes on from there."
    return text
