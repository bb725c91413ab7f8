"""How much one query may take, and how a query is refused."""

from __future__ import annotations

from dataclasses import dataclass

from sigdb.errors import OptionError, SigdbError

__all__ = ["STATUSES", "Limits", "Refused"]

# The kinds of refusal, each with the status that HTTP has for it.
STATUSES = {
    "bad_query": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "unknown_atlas": 404,
    "timeout": 408,
    "too_large": 413,
    "out_of_memory": 413,
    "busy": 429,
    "cancelled": 499,
    "failed": 500,
    "stopping": 503,
}


class Refused(SigdbError):  # noqa: N818 - doors catch it to answer, not as a mistake
    """A query, or a person, that the gate refuses.

    Attributes
    ----------
    kind : str
        Why, in one word of `STATUSES`.
    status : int
        The status that HTTP has for it.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = STATUSES[kind]


@dataclass(frozen=True)
class Limits:
    """What one query may take, and how many may run.

    Attributes
    ----------
    seconds : float
        The time of one query, from when it starts to run until its last row was read.
    memory : str
        The memory of one query, as DuckDB writes it. Nothing goes to disk.
    threads : int or None
        The threads of one query. By default, one for each core.
    rows, bytes : int
        The size of one result. Bytes are those of the Arrow columns.
    at_once : int
        How many queries run at once on the whole server.
    per_user : int
        How many queries of one person run at once. A query counts until its result was read.
    wait : float
        The seconds for which a query waits for others to end. Then it is refused as busy.
    """

    seconds: float = 60
    memory: str = "2GB"
    threads: int | None = None
    rows: int = 1_000_000
    bytes: int = 256 << 20
    at_once: int = 4
    per_user: int = 2
    wait: float = 10

    def __post_init__(self) -> None:
        for name in ("seconds", "rows", "bytes", "at_once", "per_user"):
            if not getattr(self, name) > 0:
                raise OptionError(f"A limit must be above 0, not `{name}={getattr(self, name)}`.")
