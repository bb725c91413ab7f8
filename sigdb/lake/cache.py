"""A cache of the DuckDB files that show lakes. Creating the views and macros of such a file takes half a second.

An entry is a file in the user's cache folder, or in the folder that the environment variable SIGDB_CACHE_DIR names. An
empty SIGDB_CACHE_DIR turns the cache off. If no folder can be used, sigdb works without a cache.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sigdb.statements import sql_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.resources.abc import Traversable

__all__ = ["code_digest", "get_or_make"]

# The number of entries to keep: the most recently used ones.
ENTRIES = 50
DIGEST_SIZE = hashlib.sha256().digest_size


def get_or_make(key: str, make: Callable[[], bytes]) -> bytes:
    """The contents of the entry `key`. If there is no sound entry, `make` returns its contents."""
    folder = cache_folder()
    if folder is None:
        return make()
    content = read_entry(folder / key)
    if content is None:
        content = make()
        with suppress(OSError):
            write_entry(folder / key, content)
            remove_old_entries(folder)
    return content


def cache_folder() -> Path | None:
    """The folder of the entries, or None if the cache is turned off or the user has no folder for it."""
    chosen = os.environ.get("SIGDB_CACHE_DIR")
    if chosen is None:
        import platformdirs  # not at the start of every command

        folder = platformdirs.user_cache_path("sigdb")
        # Without a home folder, the path begins with "~".
        return folder / "lakes" if folder.is_absolute() else None
    return Path(chosen, "lakes") if chosen else None


def read_entry(path: Path) -> bytes | None:
    """The contents of an entry, or None if it does not exist, cannot be read or is damaged."""
    try:
        stored = path.read_bytes()
        # Marks the entry as used.
        os.utime(path)
    except OSError:
        return None
    digest, content = stored[:DIGEST_SIZE], stored[DIGEST_SIZE:]
    return content if hashlib.sha256(content).digest() == digest else None


def write_entry(path: Path, content: bytes) -> None:
    """Write an entry, with its digest, and give it its name when it is complete: other processes may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        unfinished.write_bytes(hashlib.sha256(content).digest() + content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_old_entries(folder: Path) -> None:
    """Remove all entries except the most recently used. Files that a killed process left count as entries."""
    used = {}
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process removed it
            used[path] = path.stat().st_mtime_ns
    for path in sorted(used, key=lambda each: used[each], reverse=True)[ENTRIES:]:
        path.unlink(missing_ok=True)


@cache
def code_digest() -> str:
    """A digest of the SQL and the Python code that make the file of a lake."""
    digest = hashlib.blake2b(digest_size=16)
    for folder in (sql_root(), files("sigdb.atlas"), files("sigdb.lake")):
        for file in walk(folder):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def walk(folder: Traversable) -> Iterator[Traversable]:
    """The .sql and .py files in a folder and its subfolders, in order."""
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from walk(each)
        elif each.name.endswith((".sql", ".py")):
            yield each
