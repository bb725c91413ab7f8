"""What more than one writer of files needs: data that are on disk for good, and the time."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["is_address", "is_lake", "now", "sync"]


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


def is_address(lake: str) -> bool:
    """Whether a lake is where only DuckDB gets at it (s3://bucket/lake), and not in a folder."""
    return "://" in lake


def is_lake(path: str | os.PathLike[str]) -> bool:
    """Whether a path can only be that of a lake, and not of an atlas file."""
    return is_address(str(path)) or Path(path).is_dir()
