"""End a command on SIGINT, SIGTERM or SIGHUP as on Ctrl-C: with a message, after cleaning up, and in bounded time."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["end", "listen", "received", "stopped"]

# Windows has no SIGHUP.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# Seconds until a command that is still cleaning up says so.
ANSWER = 0.7
# Seconds for cleaning up. Some queries of DuckDB do not stop before they are finished.
GRACE = 10.0
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
    if len(received) == 1 or number == signal.SIGINT:
        raise KeyboardInterrupt


def end_late(reader: int) -> None:
    """After a signal, end the process if it does not end by itself. The atlas is as after a kill: as it was."""
    number = os.read(reader, 1)[0]
    time.sleep(min(ANSWER, GRACE))
    sys.stderr.write(f"\nStopping. This takes {GRACE:.0f} seconds at most.\n")
    sys.stderr.flush()
    time.sleep(max(0, GRACE - ANSWER))
    sys.stderr.write(f"Error: {stopped(number)}\n")
    sys.stderr.flush()
    os._exit(128 + number)


def end() -> NoReturn:
    """End the process after a signal, once the command has cleaned up. Python would take seconds to unload torch."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + received[0])


def stopped(number: int) -> str:
    """The message about a signal."""
    name = signal.Signals(number).name
    return f"Stopped by {name}. What was finished is kept, and the rest is undone. The same command goes on from there."
