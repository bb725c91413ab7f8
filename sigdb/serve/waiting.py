"""Wait in an event loop for a function that runs in a thread, such as a query at the gate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

__all__ = ["THREADS", "in_thread"]

# Threads of a door, in which clients wait for the gate. More clients wait for these.
THREADS = 64

Result = TypeVar("Result")


async def in_thread(
    function: Callable[..., Result],
    *arguments: Any,
    stop: Callable[[], object] = lambda: None,
    threads: Executor | None = None,
) -> Result:
    """Call a function in a thread. If nobody waits any more, call `stop`, and wait until the function has ended."""
    work = asyncio.get_running_loop().run_in_executor(threads, function, *arguments)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        work.add_done_callback(lambda ended: ended.exception())  # nobody else asks for it
        stop()
        await asyncio.wait([work])
        raise
