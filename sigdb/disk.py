"""Helpers for files: flush them to disk, read the clock, and tell a lake from an atlas file."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["is_address", "is_lake", "now", "size_text", "sync"]

# Windows cannot open a folder, and it flushes a file only through a handle that may write to it.
CAN_OPEN_FOLDERS = os.name != "nt"


def sync(path: Path) -> None:
    """Have the operating system write a file, or the names in a folder, to disk."""
    if not CAN_OPEN_FOLDERS and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if CAN_OPEN_FOLDERS else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def now() -> datetime:
    """The current time in UTC, to the second and without a time zone, as DuckDB's TIMESTAMP takes it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def is_address(lake: str) -> bool:
    """Whether a lake is at an address that only DuckDB can read (s3://bucket/lake), not in a folder."""
    return "://" in lake


def is_lake(path: str | os.PathLike[str]) -> bool:
    """Whether a path can only be a lake (an address or a folder), not an atlas file."""
    return is_address(str(path)) or Path(path).is_dir()


def size_text(n_bytes: float) -> str:
    """A number of bytes in words, such as 12 kB or 3.4 GB."""
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.1f} GB"
