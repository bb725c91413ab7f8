"""Atlases that many tests share: built once for all workers, and kept until the code or DuckDB changes."""

from __future__ import annotations

import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
from filelock import FileLock

from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

STORE = ROOT / ".pytest_cache" / "atlases"
# What a prebuilt atlas depends on: a change of any of these files builds all of them again.
SOURCES = ("sigdb", "ingest", "sql", "tests/support", "tests/conftest.py", "tests/ingest/conftest.py")


def prebuilt(name: str, build: Callable[[Path], object]) -> Path:
    """The file or folder of this name, made by `build(path)` if no worker has made it yet. Tests only copy it."""
    path = folder() / name
    with FileLock(f"{path}.lock"):
        if not path.exists():
            with TemporaryDirectory(dir=path.parent) as aside:
                build(Path(aside) / name)
                (Path(aside) / name).rename(path)
    return path


def copy_prebuilt(name: str, build: Callable[[Path], object], path: Path) -> Path:
    """A copy of a prebuilt file or folder at `path`, which the caller may change."""
    source = prebuilt(name, build)
    return Path(shutil.copytree(source, path) if source.is_dir() else shutil.copy(source, path))


@cache
def folder() -> Path:
    """The folder for this code, this DuckDB and this Python; folders for other code are removed."""
    versions = f"duckdb-{duckdb.__version__}-python-{sys.version_info.major}.{sys.version_info.minor}-"
    found = STORE / f"{versions}{digest()}"
    with FileLock(ROOT / ".pytest_cache" / "atlases.lock"):
        if not found.exists():
            for outdated in STORE.glob(f"{versions}*"):
                shutil.rmtree(outdated)
            found.mkdir(parents=True)
    return found


def digest() -> str:
    """A digest of the source files, their names included."""
    paths = [path for source in SOURCES for path in [ROOT / source, *sorted((ROOT / source).rglob("*"))]]
    total = hashlib.sha256()
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]
