"""Helpers for files: flush them to disk, check where to write, read the clock, tell a lake from an atlas file."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from sigdb.errors import AtlasNotFoundError, QueryError, nearest, nearest_file

__all__ = [
    "PICTURES",
    "check_atlas",
    "check_page",
    "check_picture",
    "check_target",
    "is_address",
    "is_lake",
    "now",
    "size_text",
    "sync",
]

# The suffixes of a chart, and of a page.
PICTURES = (".html", ".png", ".svg", ".json")
PAGES = (".html", ".htm")
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


def check_atlas(path: str | os.PathLike[str]) -> None:
    """Raise AtlasNotFoundError, with the nearest name, if there is no file at a path."""
    if not Path(path).is_file():
        raise AtlasNotFoundError(
            f"There is no atlas at {path}.{nearest_file(Path(path))} `ingest.ingest_files(path, sources, model)` makes "
            "one from counts, `ingest.demo.build_demo(path)` makes the demo."
        )


def check_target(path: Path) -> None:
    """Raise QueryError if a file cannot be written at a path: it is a folder, or it has no folder to write into."""
    if path.is_dir():
        raise QueryError(f"{path} is a folder. Name a file.")
    folder = path.absolute().parent
    if not folder.is_dir():
        known = [each.name for each in folder.parent.iterdir() if each.is_dir()] if folder.parent.is_dir() else []
        hint = nearest(folder.name, known)
        raise QueryError(f"There is no folder {path.parent} to write {path.name} into.{hint}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise QueryError(f"You may not write {path}. Choose another folder.")


def check_picture(path: Path) -> None:
    """Raise QueryError, with the nearest suffix, if a chart cannot be written in the format of a name."""
    if path.suffix.lower() not in PICTURES:
        hint = nearest(path.suffix.lower(), PICTURES)
        raise QueryError(f"A chart is written as one of {', '.join(PICTURES)}, not {path.name!r}.{hint}")


def check_page(path: Path) -> None:
    """Raise QueryError if a name does not end in .html, or if a file cannot be written there."""
    if path.suffix.lower() not in PAGES:
        raise QueryError(f"A report is an .html file, not {path.name!r}.")
    check_target(path)


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
