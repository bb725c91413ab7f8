"""A log of who asked what, one JSON object a line. It never has a token, and no values of parameters."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

__all__ = ["QueryLog"]

# Characters of a statement that are kept.
KEPT = 10_000


class QueryLog:
    """Writes a line for each query. A file that `logrotate` moved away is opened again."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write to the end of a file, or to standard error if there is no path."""
        self.handler: logging.Handler = (
            WatchedFileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
        )

    def write(self, **facts: Any) -> None:
        """Write one line: the time, and these facts."""
        if len(facts.get("sql") or "") > KEPT:
            facts["sql"] = f"{facts['sql'][:KEPT]}... ({len(facts['sql']):,} characters)"
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, **facts})
        self.handler.handle(logging.LogRecord("sigdb.serve", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        """Close the file."""
        self.handler.close()
