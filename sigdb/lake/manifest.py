"""The manifest of a lake names all of its files, so that one rename publishes a new version of the lake."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb.disk import is_address, sync
from sigdb.errors import AtlasError, AtlasNotFoundError, AtlasVersionError, listed, message
from sigdb.lake.folder import check_no_link, is_file_name, own_files
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


__all__ = [
    "FORMAT",
    "LOCK",
    "MARK",
    "NAME",
    "UNFINISHED",
    "File",
    "Manifest",
    "check_location",
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
UNFINISHED = f"{NAME}.part"
# A file that marks a folder as a lake, from the start of the first export. It is empty until there is a manifest.
MARK = ".sigdb-export"
# An export holds a lock on this file.
LOCK = ".sigdb-export.lock"
FORMAT = 1
# The way out without a manifest. Only the manifest says whether the lake is an export, which can be made again.
RESTORE = (
    f"Put {NAME} back from a copy of the lake, and remove nothing: if studies were added to the lake, no other copy of "
    "them exists. If the lake was an export of an atlas file, that file can be exported again, to another folder."
)
# DuckDB takes folders of these names for columns of the attributions, anywhere in a path.
COLUMN = re.compile(r"(?i)(run_id|gene_bucket|gene_id|cell_id|score)=")


@dataclass(frozen=True)
class File:
    """A file of a lake.

    path: relative to the lake; its name is the digest of its rows, so changed rows have another name. sha256: checksum
    of the file. run_id, gene_bucket: the rows of a file of attributions; None for other tables.
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
    """The files of a lake.

    root: its folder or address. exported: time of the export. atlas_created: the time when the exported atlas was
    created; None if studies were added to the lake itself. genes_per_bucket: a file has the attributions of this many
    gene ids; gene_bucket = gene_id // genes_per_bucket. signature_views: the signatures that have views. columns: the
    columns of each table, with their types in DuckDB.
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

    def files_of(self, table: str) -> list[File]:
        """The files of a table; files of attributions are in the order of runs and genes."""
        return [file for file in self.files if file.table == table]

    @property
    def way_to_upgrade(self) -> str:
        """What to do if the schema is older than this sigdb needs."""
        if self.atlas_created is not None:
            return (
                "Upgrade the atlas that it comes from with `sigdb.upgrade(atlas)`, and export that again with "
                "`sigdb.export_lake(atlas, lake)`."
            )
        return (
            f"Studies were added to this lake, so make an atlas of it with the sigdb that wrote it, version "
            f"{self.sigdb_version} (`sigdb.import_lake(lake, path)`), and upgrade the atlas with this sigdb: "
            "`sigdb.upgrade(path)`"
        )

    @property
    def way_to_mend(self) -> str:
        """What to do if files are missing or damaged."""
        if is_address(self.root):
            return "Copy these files to the address again."
        if self.atlas_created is not None:
            return f"`sigdb.export_lake(atlas, {self.root!r}, check=True)` writes these files again."
        return "Put these files back from a copy of the lake. Studies were added to it, and no atlas file has them."

    def location(self, file: File) -> str:
        """The path or address of a file."""
        return f"{self.root}/{file.path}"

    def pattern(self, file: File) -> str:
        """The pattern by which DuckDB finds this file only. DuckDB takes every path for a pattern."""
        return self.location(file) if is_address(self.root) else glob.escape(self.location(file))

    def to_json(self) -> str:
        """The text of the manifest. It does not contain the root, because a lake can be moved."""
        values = {"format": "sigdb lake", "format_version": FORMAT, **vars(self)}
        values["files"] = [vars(file) for file in self.files]
        del values["root"]
        return json.dumps(values, indent=1) + "\n"

    @property
    def bytes(self) -> int:
        """The total size of the files."""
        return sum(file.bytes for file in self.files)


def read(lake: str) -> Manifest:
    """Read the manifest of a lake, in a folder or at an address that DuckDB can read (s3://...).

    Raises AtlasNotFoundError if the folder does not exist or the address cannot be read; AtlasError if it is not a
    complete lake, or if DuckDB would misread its path; AtlasVersionError if a newer sigdb wrote it.
    """
    root = lake.rstrip("/") if is_address(lake) else str(Path(lake).absolute())
    check_location(root)
    return parse(root, fetch(root) if is_address(root) else read_local(Path(root)))


def check_location(root: str) -> None:
    """Raise AtlasError if DuckDB would take a part of the path of a lake for a column or a pattern."""
    if found := [part for part in root.split("/") if COLUMN.match(part)]:
        raise AtlasError(
            f"{root} is below a folder called {found[0]}, which DuckDB takes for the column of that name. "
            "Choose another folder for the lake, or rename that folder."
        )
    if is_address(root) and glob.has_magic(root):
        raise AtlasError(
            f"{root} contains one of *?[, which DuckDB takes for a pattern at an address. "
            "Copy the lake to another address."
        )


def parse(root: str, text: str | bytes) -> Manifest:
    """Parse the text of a manifest. Errors as for `read`."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["format"] != "sigdb lake":
            raise ValueError("its format is not 'sigdb lake'")
        if found["format_version"] != FORMAT:
            raise AtlasVersionError(
                f"{root} is a lake of format {found['format_version']}; this sigdb reads format {FORMAT}. "
                "Update the source of sigdb, and install it again."
            )
        names = Manifest.__dataclass_fields__.keys() - {"root", "files"}
        parsed = Manifest(root=root, files=[File(**file) for file in found["files"]], **{n: found[n] for n in names})
        check_consistent(parsed)
    except AtlasVersionError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AtlasError(f"{root}/{NAME} is not the manifest of a lake: {message(error)}. {RESTORE}") from error
    return parsed


def check_consistent(manifest: Manifest) -> None:
    """Raise ValueError unless each table has columns and files, and each file a name of its own inside of the lake."""
    if not isinstance(manifest.schema_version, int):
        raise ValueError(f"{manifest.schema_version!r} is not the number of a schema")
    if wrong := [name for name, has_type in TYPES.items() if not has_type(getattr(manifest, name))]:
        raise ValueError(f"{listed(wrong)} have values of another type")
    if odd_files := [file.path for file in manifest.files if not is_sound(file)]:
        raise ValueError(f"it has {len(odd_files)} files of names or sizes that no lake has: {listed(odd_files, 3)}")
    if odd := manifest.columns.keys() ^ {file.table for file in manifest.files}:
        raise ValueError(f"it lacks either the columns or the files of {listed(sorted(odd))}")
    if len({file.path for file in manifest.files}) < len(manifest.files):
        raise ValueError("it names a file twice")


def is_sound(file: File) -> bool:
    """Whether the values of a file have the right types, and its path is that of a file of its table."""
    numbers = [file.rows, file.bytes, *(each for each in (file.run_id, file.gene_bucket) if each is not None)]
    if not are_texts([file.table, file.path, file.digest, file.sha256]) or not all(map(is_count, numbers)):
        return False
    return is_file_name(file.path, file.table)


def is_count(value: object) -> bool:
    """Whether a value is an integer of 0 or more."""
    return isinstance(value, int) and value >= 0


def are_texts(values: object) -> bool:
    """Whether a value is a list of texts."""
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


def are_columns(value: object) -> bool:
    """Whether a value has the columns of each table, with their types."""
    tables = list(value.values()) if isinstance(value, dict) else [None]
    return all(isinstance(each, dict) and are_texts([*each, *each.values()]) for each in tables)


# What the values of a manifest must be.
TYPES: dict[str, Callable[[object], bool]] = {
    "sigdb_version": lambda value: isinstance(value, str),
    "exported": lambda value: isinstance(value, str),
    "atlas_created": lambda value: value is None or isinstance(value, str),
    "genes_per_bucket": lambda value: is_count(value) and value != 0,
    "signature_views": are_texts,
    "columns": are_columns,
}


def read_local(root: Path) -> bytes:
    """The text of the manifest in a folder, in UTF-8."""
    if not root.is_dir():
        raise AtlasNotFoundError(
            f"There is no lake at {root}. `sigdb.export_lake(atlas, {str(root)!r})` makes one from an atlas file."
        )
    check_no_link(root, NAME)
    check_not_lost(root)
    try:
        return (root / NAME).read_bytes()
    except FileNotFoundError as error:
        if (root / MARK).exists():
            raise AtlasError(
                f"{root} is an unfinished lake: it has no {NAME}. Repeat the call that was making the lake, "
                f"`sigdb.export_lake(atlas, {str(root)!r})` or `ingest.spark.driver.ingest_into_lake(lake, sources, "
                "model)`. It continues where it stopped."
            ) from error
        raise AtlasError(f"{root} is a folder but not a lake: it has no {NAME}.") from error


def check_not_lost(root: Path) -> None:
    """Raise AtlasError for a lake that has lost its manifest. Its folder must not be mistaken for a new one."""
    mark = root / MARK
    if mark.is_file() and mark.stat().st_size and not (root / NAME).exists():
        raise AtlasError(f"{root} is a lake that has lost its {NAME}. {RESTORE}")


def note_published(root: Path) -> None:
    """Record in the mark that the lake has a manifest."""
    mark = root / MARK
    if not (mark.exists() and mark.stat().st_size):
        mark.write_text(f"This folder has had a {NAME}.\n", encoding="utf-8")
        sync(mark)


def fetch(root: str) -> str:
    """The text of the manifest at an address."""
    ((text,),) = ask_address(root, "text", {"address": f"{root}/{NAME}"})
    return str(text)


def ask_address(root: str, query: str, parameters: dict[str, Any]) -> list[Any]:
    """Run a query of sql/lake/address.sql. Raises AtlasNotFoundError if DuckDB cannot read the files at an address."""
    try:
        with duckdb.connect() as con:
            return run_statement(con, f"lake/address.{query}", parameters)
    except (duckdb.Error, ValueError) as error:
        raise AtlasNotFoundError(
            f"There is no complete lake that can be read at {root}: {message(error)} "
            "(DuckDB reads it through its extension httpfs, with the secrets that are stored for this address.)"
        ) from error


def check_sizes(manifest: Manifest) -> None:
    """Raise AtlasError unless all files exist with the recorded sizes. An address needs one request per file."""
    if not is_address(manifest.root):
        check_no_link(Path(manifest.root), *(file.path for file in manifest.files))
    found = file_sizes(manifest)
    check_files(manifest, "files are missing or cut off", lambda file: found.get(manifest.location(file)) != file.bytes)


def file_sizes(manifest: Manifest) -> dict[str, int]:
    """The sizes of the files that exist, by location."""
    locations = [manifest.location(file) for file in manifest.files]
    if is_address(manifest.root):
        return dict(ask_address(manifest.root, "sizes", {"addresses": locations}))
    return {location: Path(location).stat().st_size for location in locations if Path(location).is_file()}


def check_sums(manifest: Manifest) -> None:
    """Raise AtlasError unless all files exist with the recorded checksums. This reads all files."""
    check_sizes(manifest)

    def sum_of(file: File) -> str:
        if not is_address(manifest.root):
            return checksum(Path(manifest.location(file)))
        ((found,),) = ask_address(manifest.root, "checksum", {"address": manifest.location(file)})
        return str(found)

    check_files(manifest, "files are damaged", lambda file: sum_of(file) != file.sha256)


def check_files(manifest: Manifest, problem: str, has_problem: Callable[[File], bool]) -> None:
    """Raise AtlasError with the number of files that have a problem, if any has it."""
    if wrong := [file.path for file in manifest.files if has_problem(file)]:
        raise AtlasError(
            f"{len(wrong)} of {len(manifest.files)} {problem} in the lake {manifest.root}: {listed(wrong, 3)}. "
            f"{manifest.way_to_mend}"
        )


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(manifest: Manifest) -> None:
    """Replace the manifest of a lake in one step, and then remove the files that the new one does not name."""
    root = Path(manifest.root)
    unfinished = root / UNFINISHED
    unfinished.write_text(manifest.to_json(), encoding="utf-8")
    sync(unfinished)
    unfinished.replace(root / NAME)
    sync(root)
    note_published(root)
    remove_other_files(manifest)


def remove_other_files(manifest: Manifest) -> None:
    """Remove the files that a manifest does not name. Other processes may remove or write files at the same time."""
    root = Path(manifest.root)
    named = {root / file.path for file in manifest.files}
    for path in list(files_on_disk(manifest)):
        if path not in named:
            path.unlink(missing_ok=True)
            for folder in path.relative_to(root).parents:
                if folder.name:
                    with suppress(OSError):  # the folder is not empty
                        (root / folder).rmdir()


def files_on_disk(manifest: Manifest) -> Iterator[Path]:
    """The files in the folders of the tables that have names of a lake, including unfinished ones."""
    root = Path(manifest.root)
    return (path for path in own_files(root) if path.relative_to(root).parts[0] in manifest.columns)
