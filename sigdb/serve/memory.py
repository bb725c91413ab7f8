"""A limit on the memory of a process, which also holds for what DuckDB does not count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.atlas.file import bytes_of
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import duckdb

    from sigdb.serve.limits import Limits

__all__ = ["cap_memory"]


def cap_memory(con: duckdb.DuckDBPyConnection, limits: Limits) -> None:
    """Let the process have what it has now, DuckDB's limit, and room for a result. Only Linux keeps to this.

    DuckDB does not count texts and lists while it computes them: `repeat('a', 1000000000)` over 2,000 rows would take
    all memory of the machine. At the limit, DuckDB's allocation fails, and so does the query.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return
    import resource

    ((_, _, _, limit),) = run_statement(con, "atlas/inspect.array_size")
    (used,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmData"))
    most = int(used) * 1024 + int(bytes_of(limit)) + 3 * limits.bytes
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
