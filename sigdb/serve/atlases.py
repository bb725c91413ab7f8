"""The atlases that are served: one file, or the files of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.atlas.file import check_name
from sigdb.disk import check_atlas
from sigdb.errors import AtlasError, AtlasNotFoundError, listed, nearest
from sigdb.lake.manifest import NAME as MANIFEST
from sigdb.serve.limits import Refused

if TYPE_CHECKING:
    import os

__all__ = ["AtlasFile", "Atlases"]

SUFFIX = ".duckdb"


@dataclass(frozen=True)
class AtlasFile:
    """An atlas file as it is on disk now. `version` changes when another file takes its place, or it is written to."""

    name: str
    path: Path
    version: tuple[int, ...]
    bytes: int
    modified: datetime


class Atlases:
    """The atlases that are served, by name.

    Every question looks at the disk again. So a file that was replaced is noticed at once, and a file that was put into
    the folder is served without a restart.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Serve one file, or the files `*.duckdb` of a folder. Raises AtlasNotFoundError if there is none."""
        self.path = Path(path)
        if not self.path.is_dir():
            check_atlas(self.path)
            check_name(self.path)
        elif (self.path / MANIFEST).is_file():
            raise AtlasError(
                f"{path} is a lake, and only atlas files can be served: a lake cannot be locked. "
                "`sigdb.import_lake(lake, path)` makes an atlas file of it."
            )
        elif not self.paths():
            raise AtlasNotFoundError(f"There is no atlas in the folder {path}. Atlases are files named *{SUFFIX}.")

    def paths(self) -> dict[str, Path]:
        """The files that are served, by name."""
        if not self.path.is_dir():
            return {self.path.name.removesuffix(SUFFIX): self.path}
        found = sorted(each for each in self.path.glob(f"*{SUFFIX}") if each.is_file())
        return {each.name.removesuffix(SUFFIX): each for each in found if is_possible(each)}

    def all(self) -> list[AtlasFile]:
        """All atlases that are there now, by name."""
        files = (look_at(name, path) for name, path in self.paths().items())
        return [each for each in files if each is not None]

    def find(self, name: str | None) -> AtlasFile:
        """An atlas by its name. The name can be left out if there is only one. Raises Refused."""
        paths = self.paths()
        if name is None and len(paths) == 1:
            (name,) = paths
        if name is None:
            raise Refused("unknown_atlas", f"Say which atlas to ask. This server has {listed(paths)}.")
        found = look_at(name, paths[name]) if name in paths else None
        if found is None:
            raise Refused("unknown_atlas", f"There is no atlas {name!r:.80} here.{nearest(name, paths)}")
        return found


def is_possible(path: Path) -> bool:
    """Whether a file has a name that an atlas can have."""
    try:
        check_name(path)
    except AtlasError:
        return False
    return True


def look_at(name: str, path: Path) -> AtlasFile | None:
    """A file as it is on disk now; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    version = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
    return AtlasFile(name, path, version, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
