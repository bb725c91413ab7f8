"""Work on the next things while the last one is used."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

__all__ = ["ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(work: Callable[[Item], Result], items: Iterable[Item], n_threads: int = 1) -> Generator[Result]:
    """What `work` makes of each item, in order; as many following items as there are threads are worked on meanwhile.

    The caller's thread gets the items. Raises what getting an item raises, or working on it; the work that was begun on
    others is finished then.
    """
    with ThreadPoolExecutor(n_threads) as threads:
        begun: deque[Future[Result]] = deque()
        for item in items:
            begun.append(threads.submit(work, item))
            if len(begun) > n_threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
