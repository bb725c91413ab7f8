"""Write the tables of an atlas into a lake, as Parquet files for DuckDB and other engines."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sigdb import disk
from sigdb.atlas import views
from sigdb.atlas.file import SCHEMA_VERSION, little_memory, open_atlas
from sigdb.disk import now
from sigdb.errors import AtlasError, listed
from sigdb.lake import manifest
from sigdb.lake.files import FILE_ROWS, Part, attribution_parts, table_columns, table_parts
from sigdb.lake.folder import check_no_link, own_files
from sigdb.lake.manifest import LOCK, MARK, File, Manifest, publish
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import duckdb


__all__ = ["ExportResult", "export_lake", "hold_folder", "make_manifest", "write_parts"]

# As an atlas grows, its files may become this many times larger than wanted before the genes are divided again.
TOLERANCE = 4


@dataclass(frozen=True)
class ExportResult:
    """The result of an export: number of files written, number of files kept from before, and the manifest."""

    written: int
    kept: int
    manifest: Manifest


def export_lake(
    path: str | os.PathLike[str],
    lake: str | os.PathLike[str],
    *,
    genes_per_bucket: int | None = None,
    check: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportResult:
    """Write the tables of an atlas into a folder as Parquet files.

    If the folder is a lake of this atlas already, only what has changed is written. The new files become visible
    together, when the manifest is replaced at the end. An interrupted export changes nothing, and the next one
    continues where it stopped.

    Parameters
    ----------
    path
        An atlas file.
    lake
        A folder that is new, empty or a lake of this atlas.
    genes_per_bucket
        Number of gene ids whose attributions share a file. Left out, the number from before, or a number that makes
        files of about 64 million rows.
    check
        Also compare the checksums of existing files, and write damaged files again.
    progress
        A function that is called with (files done, files in total).

    Returns
    -------
    A result with the attributes `written` (number of files written), `kept` (number of files that existed already) and
    `manifest`.

    Raises
    ------
    AtlasError
        The folder contains something else or the lake of another atlas, or another export to it is running.

    Examples
    --------
    >>> sigdb.export_lake("demo.duckdb", "demo.lake").kept
    0
    """
    root = Path(lake)
    if genes_per_bucket is not None and genes_per_bucket < 1:
        raise AtlasError(
            f"A file has the attributions of at least one gene, not `genes_per_bucket={genes_per_bucket}`."
        )
    if disk.is_lake(path):
        raise AtlasError(f"{path} is not a file, and only an atlas file can be exported. A lake can be copied.")
    with open_atlas(path, read_only=True, sorts=True) as con, little_memory(con), hold_folder(root):
        before = manifest.read(str(root)) if (root / manifest.NAME).exists() else None
        ((created,),) = run_statement(con, "atlas/records.info", {"key": "created"})
        check_origin(before, created, path)
        columns, size = table_columns(con), genes_per_bucket or choose_bucket_size(con, before)
        parts = [*table_parts(con, columns), *attribution_parts(con, size, columns["attributions"])]
        files, n_kept = write_parts(con, root, parts, before, check=check, progress=progress)
        after = make_manifest(con, root, columns, files, genes_per_bucket=size, atlas_created=created)
        publish(after)
    return ExportResult(len(files) - n_kept, n_kept, after)


def check_origin(before: Manifest | None, created: str, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError unless a lake comes from the atlas at `path`, which was created at the time `created`."""
    if before and before.atlas_created is None:
        raise AtlasError(
            f"Studies were added to the lake {before.root} itself, and {path} may lack them. "
            "Choose another folder. `sigdb.import_lake(lake, path)` makes an atlas of the lake."
        )
    if before and before.atlas_created != created:
        raise AtlasError(
            f"{before.root} is the lake of another atlas, which was created at {before.atlas_created}; {path} was "
            f"created at {created}. Choose another folder, or remove that lake."
        )


def write_parts(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    parts: Sequence[Part],
    before: Manifest | None,
    *,
    check: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[File], int]:
    """Write the parts whose files do not exist yet; return the files of all parts, and how many existed."""
    check_no_link(root, *(part.path for part in parts), *(part.unfinished for part in parts))
    known = {file.path: file for file in before.files} if before else {}
    kept = {part.path: file for part in parts if (file := part.find(root, known.get(part.path), check=check))}
    files: list[File] = []
    progress(0, len(parts))
    for part in parts:
        files.append(kept.get(part.path) or part.write(con, root))
        progress(len(files), len(parts))
    return files, len(kept)


def make_manifest(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    columns: dict[str, dict[str, str]],
    files: list[File],
    *,
    genes_per_bucket: int,
    atlas_created: str | None,
) -> Manifest:
    """The manifest of a lake of these files, written now by this sigdb."""
    return Manifest(
        root=str(root.absolute()),
        schema_version=SCHEMA_VERSION,
        sigdb_version=version("sigdb-atlas"),
        exported=now().isoformat(),
        atlas_created=atlas_created,
        genes_per_bucket=genes_per_bucket,
        signature_views=views.view_names(con),
        columns=columns,
        files=files,
    )


@contextmanager
def hold_folder(root: Path, *, keep: bool = True) -> Iterator[None]:
    """Lock a folder for an export. The folder is made if it does not exist.

    keep: after a failed block, keep the files that it wrote, so that the next export continues from there. Otherwise a
    folder that was new or empty is removed or emptied, unless a lake was published in it. Raises AtlasError if the
    folder has other contents, is locked by another export, or has lost its manifest.
    """
    manifest.check_location(str(root.absolute()))
    check_no_link(root, LOCK, MARK, manifest.NAME, manifest.UNFINISHED)
    existed, was_new = root.exists(), not (root / MARK).exists()
    if existed and was_new:
        check_empty(root)
    root.mkdir(parents=True, exist_ok=True)
    with lock_folder(root):
        (root / MARK).touch()
        manifest.check_not_lost(root)
        if (root / manifest.NAME).exists():
            manifest.note_published(root)
        try:
            yield
        finally:
            if was_new and not keep and not (root / manifest.NAME).exists():
                discard(root, keep_folder=existed)


def check_empty(root: Path) -> None:
    """Raise AtlasError unless a path is an empty folder. Another export may have put its lock there already."""
    if not root.is_dir():
        raise AtlasError(f"{root} is a file, and a lake is a folder. Choose another name.")
    if others := [path.name for path in root.iterdir() if path.name not in (LOCK, MARK)]:
        raise AtlasError(
            f"{root} is not a lake, and it is not empty: it contains {listed(others, 3)}. "
            "Choose an empty folder or a new one."
        )


@contextmanager
def lock_folder(root: Path) -> Iterator[None]:
    """Hold the lock of a folder. If the process ends, the lock ends too. Raises AtlasError if it is held already."""
    import filelock  # not at the start of every command

    lock = filelock.FileLock(root / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise AtlasError(f"Another export to {root} is running. Wait until it has finished, or stop it.") from error
    try:
        yield
    finally:
        lock.release()


def discard(root: Path, *, keep_folder: bool) -> None:
    """Remove the files that an export wrote into a new folder, and the folders that are empty then."""
    files = [*own_files(root), *(root / name for name in (LOCK, MARK, manifest.UNFINISHED))]
    for file in files:
        file.unlink(missing_ok=True)
    folders = {folder for file in files for folder in file.parents if folder.is_relative_to(root)}
    for folder in sorted(folders, reverse=True):
        if folder != root or not keep_folder:
            with suppress(OSError):  # somebody else has put a file there
                folder.rmdir()


def choose_bucket_size(con: duckdb.DuckDBPyConnection, before: Manifest | None) -> int:
    """The number of gene ids that share a file, a power of two. It stays as before unless files are far too large."""
    ((rows_of_gene,),) = run_statement(con, "lake/files.gene_rows")
    wanted = FILE_ROWS // max(rows_of_gene or 1, 1)
    size = 1 << max(0, min(wanted.bit_length() - 1, 16))
    return before.genes_per_bucket if before and before.genes_per_bucket <= TOLERANCE * size else size
