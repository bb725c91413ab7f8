"""Which files in the folder of a lake belong to it. Nothing else in the folder is written to or removed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.errors import AtlasError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_no_link", "is_file_name", "own_files"]

# The path of a file in a lake: its table, for large tables the run and the bucket, and a digest.
FILE = re.compile(r"(?P<table>[a-z0-9_]+)(/run_id=\d+/gene_bucket=\d+)?/[0-9a-f]{32}(-\d+)?\.(parquet|part)", re.ASCII)
# Folders below the folder of a lake, at most.
DEPTH = 3


def is_file_name(path: str, table: str) -> bool:
    """Whether a path relative to a lake is the name of a file of a table."""
    found = FILE.fullmatch(path)
    return found is not None and found["table"] == table and path.endswith(".parquet")


def own_files(root: Path) -> Iterator[Path]:
    """The files with names of a lake in a folder, including unfinished ones. Links to folders are not followed."""
    for folder, below, names in os.walk(root):
        relative = Path(folder).relative_to(root)
        if len(relative.parts) == DEPTH:
            below.clear()
        yield from (Path(folder, name) for name in names if FILE.fullmatch((relative / name).as_posix()))


def check_no_link(root: Path, *paths: str) -> None:
    """Raise AtlasError if one of the paths in a lake, or a folder that it is in, is a symbolic link.

    A link would have an export write, and remove, files that are somewhere else. The folder of the lake may be a link.
    """
    for path in paths:
        for part in (Path(path), *Path(path).parents):
            if part.name and (root / part).is_symlink():
                raise AtlasError(
                    f"{root / part} is a symbolic link. The files and folders of a lake must be its own: put the "
                    "files there instead of the link, or copy the lake with `cp -rL`."
                )
