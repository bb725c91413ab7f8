"""Who is logged in through the page. A browser keeps a random name, never a token."""

from __future__ import annotations

import secrets
import time

__all__ = ["LASTS", "Sessions"]

# The seconds that a session lasts, and how many there are at most; the oldest one ends first.
LASTS = 7 * 86_400
MOST = 10_000


class Sessions:
    """The sessions of a server, in memory: all end when it stops, and each when its token is revoked."""

    def __init__(self) -> None:
        """Begin without sessions."""
        self.tokens: dict[str, tuple[str, float]] = {}

    def begin(self, token: str) -> str:
        """The name of a new session of the person who has a token."""
        name = secrets.token_urlsafe(32)
        self.tokens[name] = (token, time.monotonic() + LASTS)
        while len(self.tokens) > MOST:
            del self.tokens[next(iter(self.tokens))]
        return name

    def token_of(self, name: str | None) -> str | None:
        """The token of a session; None if there is no such session, or if it has ended."""
        token, ends = self.tokens.get(name or "", (None, 0.0))
        return token if time.monotonic() < ends else None

    def end(self, name: str | None) -> None:
        """End a session, if it is one."""
        self.tokens.pop(name or "", None)
