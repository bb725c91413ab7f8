"""The manifest of a lake: which files it consists of, so that one rename publishes all of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb.errors import AtlasError, AtlasNotFoundError, AtlasVersionError, listed, message
from sigdb.files import sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "FORMAT",
    "MARK",
    "NAME",
    "UPGRADE",
    "File",
    "Manifest",
    "check_sizes",
    "check_sums",
    "checksum",
    "parse",
    "publish",
    "read",
]

NAME = "manifest.json"
# What is in the folder while it is written for the first time, and stays: the folder is ours.
MARK = ".sigdb-export"
FORMAT = 1
UPGRADE = "Upgrade the atlas it comes from (sigdb upgrade), and export it again."


@dataclass(frozen=True)
class File:
    """A file of a lake. path: below the lake, named by the digest of its rows, so that other rows have another name.

    run_id, gene_bucket: of the attributions; None for other tables. sha256: of the file.
    """

    table: str
    path: str
    digest: str
    rows: int
    bytes: int
    sha256: str
    run_id: int | None = None
    gene_bucket: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What a lake consists of. root: its folder, or address. columns: of each table, with their types in DuckDB.

    genes_per_bucket: the attributions of this many gene ids are in a file, gene_bucket = gene_id // genes_per_bucket.
    signature_views: the signatures that have views. atlas_created: when the atlas was made that it is an export of.
    """

    root: str
    schema_version: int
    sigdb_version: str
    exported: str
    atlas_created: str
    genes_per_bucket: int
    signature_views: list[str]
    columns: dict[str, dict[str, str]]
    files: list[File] = field(repr=False)

    def of(self, table: str) -> list[File]:
        """The files of a table, those of the attributions by run and gene."""
        return [file for file in self.files if file.table == table]

    def place(self, file: File) -> str:
        """Where a file is."""
        return f"{self.root}/{file.path}"

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)


def read(lake: str) -> Manifest:
    """Read the manifest of a lake, in a folder or at an address that DuckDB can read (s3://...).

    Raises AtlasNotFoundError if there is no folder, AtlasError if it is no lake, or not a whole one, and
    AtlasVersionError if a newer sigdb wrote it.
    """
    if "://" in lake:
        return parse(lake.rstrip("/"), fetched(lake.rstrip("/")))
    root = Path(lake).absolute()
    return parse(str(root), local(root))


def parse(root: str, text: str) -> Manifest:
    """The manifest of a lake, of its text; errors as for `read`."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["format"] != "sigdb lake":
            raise ValueError("it does not say that it is one of a lake")
        if found["format_version"] != FORMAT:
            raise AtlasVersionError(
                f"{root} is a lake of format {found['format_version']}; this sigdb reads format {FORMAT}. "
                "Update sigdb (pip install --upgrade sigdb-atlas), or export the atlas anew."
            )
        names = Manifest.__dataclass_fields__.keys() - {"root", "files"}
        return Manifest(root=root, files=[File(**file) for file in found["files"]], **{n: found[n] for n in names})
    except AtlasVersionError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise AtlasError(
            f"{root}/{NAME} is not the manifest of a lake: {message(error)}. Remove it, and export the atlas again."
        ) from error


def local(root: Path) -> str:
    """The text of the manifest in a folder."""
    if not root.is_dir():
        raise AtlasNotFoundError(f"There is no lake at {root}. `sigdb export ATLAS {root}` makes one.")
    try:
        return (root / NAME).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if (root / MARK).exists():
            raise AtlasError(
                f"{root} is a lake that is not finished: it has no {NAME}. Run `sigdb export ATLAS {root}` again, "
                "which goes on where it was."
            ) from error
        raise AtlasError(f"{root} is a folder, but not a lake: it has no {NAME}.") from error


def fetched(root: str) -> str:
    """The text of the manifest at an address."""
    try:
        with duckdb.connect() as con:
            ((text,),) = con.execute("SELECT content FROM read_text(?)", [f"{root}/{NAME}"]).fetchall()
    except (duckdb.Error, ValueError) as error:
        raise AtlasNotFoundError(f"There is no lake that can be read at {root}: {message(error)}") from error
    return str(text)


def check_sizes(manifest: Manifest) -> None:
    """Raise AtlasError unless all files are there, and of the sizes that they had. Not where they are at an address."""
    if "://" in manifest.root:
        return

    def size(file: File) -> object:
        path = Path(manifest.place(file))
        return path.stat().st_size if path.is_file() else "missing"

    complain(manifest, "files are missing or cut off", lambda file: size(file) != file.bytes)


def check_sums(manifest: Manifest) -> None:
    """Raise AtlasError unless all files are there, and byte for byte what was written. Reads all of them."""
    check_sizes(manifest)
    complain(manifest, "files are damaged", lambda file: checksum(Path(manifest.place(file))) != file.sha256)


def complain(manifest: Manifest, what: str, is_wrong: Callable[[File], bool]) -> None:
    """Raise AtlasError if there are files with which something is wrong."""
    if wrong := [file.path for file in manifest.files if is_wrong(file)]:
        raise AtlasError(
            f"{len(wrong)} of {len(manifest.files)} {what} in the lake {manifest.root}: {listed(wrong, 3)}. "
            f"`sigdb export ATLAS {manifest.root} --check` writes them again."
        )


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(manifest: Manifest) -> None:
    """Put the manifest in the place of the one before, in one step, and then remove the files that it does not name."""
    root = Path(manifest.root)
    values = {"format": "sigdb lake", "format_version": FORMAT, **asdict(manifest)}
    del values["root"]
    unfinished = root / f"{NAME}.part"
    unfinished.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    sync(unfinished)
    unfinished.replace(root / NAME)
    sync(root)
    named = {root / file.path for file in manifest.files}
    for path in list(stored(manifest)):
        if path not in named:
            path.unlink()
            for folder in path.relative_to(root).parents:
                if folder.name and not any((root / folder).iterdir()):
                    (root / folder).rmdir()


def stored(manifest: Manifest) -> Iterator[Path]:
    """The files in the folders of the tables, those that are half written included."""
    for table in manifest.columns:
        for ending in ("parquet", "part"):
            yield from Path(manifest.root, table).rglob(f"*.{ending}")
