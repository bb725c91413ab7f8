"""The manifest of a lake: which files it consists of, so that one rename publishes all of them."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb.disk import is_address, sync
from sigdb.errors import AtlasError, AtlasNotFoundError, AtlasVersionError, listed, message
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


__all__ = [
    "FORMAT",
    "MARK",
    "NAME",
    "File",
    "Manifest",
    "check_not_lost",
    "check_sizes",
    "check_sums",
    "checksum",
    "note_published",
    "parse",
    "publish",
    "read",
]

NAME = "manifest.json"
# What is in the folder while it is written for the first time, and stays: the folder is ours. It is empty until there
# has been a manifest.
MARK = ".sigdb-export"
FORMAT = 1
# What to do without a manifest, which alone says whether the lake can be made again.
RESTORE = (
    f"Put {NAME} back from a copy of the lake, and remove nothing: a lake that studies were added to is the only copy "
    "of them. If this was an export of an atlas file, that can be exported again, to another folder."
)
# Folders of these names DuckDB takes for columns of the attributions, wherever they stand in a path.
COLUMN = re.compile(r"(?i)(run_id|gene_bucket|gene_id|cell_id|score)=")


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
    signature_views: the signatures that have views. atlas_created: when the atlas was made that it is an export of;
    None if it has been added to since then, or is no export.
    """

    root: str
    schema_version: int
    sigdb_version: str
    exported: str
    atlas_created: str | None
    genes_per_bucket: int
    signature_views: list[str]
    columns: dict[str, dict[str, str]]
    files: list[File] = field(repr=False)

    def of(self, table: str) -> list[File]:
        """The files of a table, those of the attributions by run and gene."""
        return [file for file in self.files if file.table == table]

    @property
    def way_to_upgrade(self) -> str:
        """What to do where the schema is older than that of this sigdb."""
        if self.atlas_created is not None:
            return "Upgrade the atlas it comes from (sigdb upgrade), and export it again."
        return (
            "Studies were added to it, so make an atlas of it with the sigdb that wrote it "
            f"(pip install sigdb-atlas=={self.sigdb_version}; sigdb import-lake), and upgrade that with this one "
            "(sigdb upgrade)."
        )

    @property
    def way_to_mend(self) -> str:
        """What to do where files are missing or damaged."""
        if is_address(self.root):
            return "Copy them there again."
        if self.atlas_created is not None:
            return f"`sigdb export ATLAS {self.root} --check` writes them again."
        return "Put them back from a copy of the lake: studies were added to it, and no atlas file has them."

    def place(self, file: File) -> str:
        """Where a file is."""
        return f"{self.root}/{file.path}"

    def pattern(self, file: File) -> str:
        """What DuckDB finds a file by, and no other: it takes a path for a pattern, of which `*` is any name."""
        return self.place(file) if is_address(self.root) else glob.escape(self.place(file))

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)


def read(lake: str) -> Manifest:
    """Read the manifest of a lake, in a folder or at an address that DuckDB can read (s3://...).

    Raises AtlasNotFoundError if there is no folder, or nothing that can be read at the address, AtlasError if it is no
    lake, or not a whole one, or in a place of which DuckDB would misread the name, and AtlasVersionError if a newer
    sigdb wrote it.
    """
    root = lake.rstrip("/") if is_address(lake) else str(Path(lake).absolute())
    check_place(root)
    return parse(root, fetched(root) if is_address(root) else local(Path(root)))


def check_place(root: str) -> None:
    """Raise AtlasError where DuckDB would take a part of the path of a lake for a column, or for a pattern."""
    if found := [part for part in root.split("/") if COLUMN.match(part)]:
        raise AtlasError(
            f"{root} is below a folder called {found[0]}, which DuckDB takes for the column of that name. "
            "Choose another folder for the lake, or rename that one."
        )
    if is_address(root) and glob.has_magic(root):
        raise AtlasError(f"{root} has one of *?[ in it, which DuckDB takes for a pattern at an address. Copy the lake.")


def parse(root: str, text: str | bytes) -> Manifest:
    """The manifest of a lake, of its text; errors as for `read`."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["format"] != "sigdb lake":
            raise ValueError("it does not say that it is one of a lake")
        if found["format_version"] != FORMAT:
            raise AtlasVersionError(
                f"{root} is a lake of format {found['format_version']}; this sigdb reads format {FORMAT}. "
                "Update sigdb (pip install --upgrade sigdb-atlas)."
            )
        names = Manifest.__dataclass_fields__.keys() - {"root", "files"}
        made = Manifest(root=root, files=[File(**file) for file in found["files"]], **{n: found[n] for n in names})
        check_whole(made)
    except AtlasVersionError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise AtlasError(f"{root}/{NAME} is not the manifest of a lake: {message(error)}. {RESTORE}") from error
    return made


def check_whole(made: Manifest) -> None:
    """Raise ValueError unless each table has columns and files, and no file comes twice."""
    if not isinstance(made.schema_version, int):
        raise ValueError(f"{made.schema_version!r} is not the number of a schema")
    if odd := made.columns.keys() ^ {file.table for file in made.files}:
        raise ValueError(f"it has not both columns and files of {listed(sorted(odd))}")
    if len({file.path for file in made.files}) < len(made.files):
        raise ValueError("it names a file twice")


def local(root: Path) -> bytes:
    """The text of the manifest in a folder, in UTF-8."""
    if not root.is_dir():
        raise AtlasNotFoundError(f"There is no lake at {root}. `sigdb export ATLAS {root}` makes one.")
    check_not_lost(root)
    try:
        return (root / NAME).read_bytes()
    except FileNotFoundError as error:
        if (root / MARK).exists():
            raise AtlasError(
                f"{root} is a lake that is not finished: it has no {NAME}. Run again what was making it "
                f"(`sigdb export ATLAS {root}`, or `sigdb ingest-spark {root} ...`), which goes on where it was."
            ) from error
        raise AtlasError(f"{root} is a folder, but not a lake: it has no {NAME}.") from error


def check_not_lost(root: Path) -> None:
    """Raise AtlasError for the folder of a lake that has lost its manifest, which is not to be taken for a new one."""
    mark = root / MARK
    if mark.is_file() and mark.stat().st_size and not (root / NAME).exists():
        raise AtlasError(f"{root} is a lake that has lost its {NAME}. {RESTORE}")


def note_published(root: Path) -> None:
    """Note in the mark that there has been a manifest."""
    mark = root / MARK
    if not (mark.exists() and mark.stat().st_size):
        mark.write_text(f"There has been a {NAME} here.\n", encoding="utf-8")
        sync(mark)


def fetched(root: str) -> str:
    """The text of the manifest at an address."""
    ((text,),) = ask_address(root, "fetch", {"place": f"{root}/{NAME}"})
    return str(text)


def ask_address(root: str, query: str, parameters: dict[str, Any]) -> list[Any]:
    """Run a query of sql/lake on files at an address; AtlasNotFoundError if DuckDB cannot read them."""
    try:
        with duckdb.connect() as con:
            return con.execute(statement(f"lake/{query}"), parameters).fetchall()
    except (duckdb.Error, ValueError) as error:
        raise AtlasNotFoundError(
            f"There is no whole lake that can be read at {root}: {message(error)} "
            "(DuckDB reads it by its extension httpfs, with the secrets that are stored for this address.)"
        ) from error


def check_sizes(manifest: Manifest) -> None:
    """Raise AtlasError unless all files are there, and of the sizes that they had; a request for each at an address."""
    found = sizes(manifest)
    complain(manifest, "files are missing or cut off", lambda file: found.get(manifest.place(file)) != file.bytes)


def sizes(manifest: Manifest) -> dict[str, int]:
    """The sizes of the files that are there, by their places."""
    places = [manifest.place(file) for file in manifest.files]
    if is_address(manifest.root):
        return dict(ask_address(manifest.root, "sizes", {"places": places}))
    return {place: Path(place).stat().st_size for place in places if Path(place).is_file()}


def check_sums(manifest: Manifest) -> None:
    """Raise AtlasError unless all files are there, and byte for byte what was written. Reads all of them."""
    check_sizes(manifest)

    def sum_of(file: File) -> str:
        if not is_address(manifest.root):
            return checksum(Path(manifest.place(file)))
        ((found,),) = ask_address(manifest.root, "checksum", {"place": manifest.place(file)})
        return str(found)

    complain(manifest, "files are damaged", lambda file: sum_of(file) != file.sha256)


def complain(manifest: Manifest, what: str, is_wrong: Callable[[File], bool]) -> None:
    """Raise AtlasError if there are files with which something is wrong."""
    if wrong := [file.path for file in manifest.files if is_wrong(file)]:
        raise AtlasError(
            f"{len(wrong)} of {len(manifest.files)} {what} in the lake {manifest.root}: {listed(wrong, 3)}. "
            + manifest.way_to_mend
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
    note_published(root)
    sweep(manifest)


def sweep(manifest: Manifest) -> None:
    """Remove the files that a manifest does not name, as far as nobody else does, or writes there, at the moment."""
    root = Path(manifest.root)
    named = {root / file.path for file in manifest.files}
    for path in list(stored(manifest)):
        if path not in named:
            path.unlink(missing_ok=True)
            for folder in path.relative_to(root).parents:
                if folder.name:
                    with suppress(OSError):  # it is not empty
                        (root / folder).rmdir()


def stored(manifest: Manifest) -> Iterator[Path]:
    """The files in the folders of the tables, those that are half written included."""
    for table in manifest.columns:
        for ending in ("parquet", "part"):
            yield from Path(manifest.root, table).rglob(f"*.{ending}")
