"""How often something happened within this minute, by the address that it came from."""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock

__all__ = ["Minutes"]


class Minutes:
    """Counts by address. All counts begin again with each minute."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.minute = 0.0
        self.n_of: Counter[str | None] = Counter()

    def add(self, client: str | None) -> int:
        """Count one more, and return how many there are from this address."""
        with self.lock:
            minute = time.monotonic() // 60
            if minute != self.minute:
                self.minute, self.n_of = minute, Counter()
            self.n_of[client] += 1
            return self.n_of[client]
