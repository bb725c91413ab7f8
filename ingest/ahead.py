"""Process the next items in threads while the caller uses the last result."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

__all__ = ["map_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], n_threads: int = 1) -> Generator[Result]:
    """Yield `work(item)` for each item, in order, with up to `n_threads` later items in progress.

    Items are taken from the iterable in the caller's thread. An error in the iterable or in `work` is raised after the
    items in progress are finished.
    """
    with ThreadPoolExecutor(n_threads) as threads:
        begun: deque[Future[Result]] = deque()
        for item in items:
            begun.append(threads.submit(work, item))
            if len(begun) > n_threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
