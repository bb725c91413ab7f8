"""What more than one writer of files needs: data that are on disk for good, and the time."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["now", "sync"]


def sync(path: Path) -> None:
    """Have the operating system write a file, or the names in a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def now() -> datetime:
    """The time, in UTC, as DuckDB's TIMESTAMP takes it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
