"""A lake: the tables of an atlas as Parquet, in a folder or an object store, for DuckDB and for other engines.

`export_lake` writes what has changed of an atlas, `attach_lake` makes a small DuckDB file whose tables are views over
the Parquet, with all views and macros, and `import_lake` an atlas. `sigdb.connect(folder)` opens a lake, too.
"""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sigdb import disk, statements
from sigdb.atlas import views
from sigdb.atlas.file import SCHEMA_VERSION, little_memory, open_atlas
from sigdb.disk import now
from sigdb.errors import AtlasError
from sigdb.lake import manifest
from sigdb.lake.files import FILE_ROWS, Part, attribution_parts, table_columns, table_parts
from sigdb.lake.manifest import MARK, File, Manifest, publish

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import duckdb


__all__ = ["Exported", "export_lake"]

# How many times larger files may become, as an atlas grows, before it is divided anew.
TOLERANCE = 4


@dataclass(frozen=True)
class Exported:
    """What an export did: files written, files that were there already, and the manifest."""

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
) -> Exported:
    """Write the tables of an atlas into a folder as Parquet; only what has changed, if it is its lake already.

    Files are written aside, and become the lake all together when the manifest is replaced, in the end; an export that
    is interrupted goes on where it was. genes_per_bucket: how many gene ids share a file of attributions of a run; if
    None, as before, or chosen for files of some 64 million rows, where they would be far larger. check: also compare
    the checksums of the files that are there, and write those anew that differ. progress: told (files done, files in
    all).

    Raises AtlasError if the folder holds something else, or the lake of another atlas, or if another export is at work.
    """
    root = Path(lake)
    if genes_per_bucket is not None and genes_per_bucket < 1:
        raise AtlasError(f"A file holds the attributions of at least one gene, not of {genes_per_bucket}.")
    if disk.is_lake(path):
        raise AtlasError(f"{path} is no file; only an atlas file can be exported. A lake can be copied as it is.")
    with open_atlas(path, read_only=True) as con, little_memory(con), mine(root):
        before = manifest.read(str(root)) if (root / manifest.NAME).exists() else None
        ((created,),) = con.execute("SELECT value FROM sigdb_data.atlas_info WHERE key = 'created'").fetchall()
        check_origin(before, created, path)
        columns, size = table_columns(con), genes_per_bucket or chosen_size(con, before)
        parts = [*table_parts(con, columns), *attribution_parts(con, size, columns["attributions"])]
        files, n_kept = write_parts(con, root, parts, before, check=check, progress=progress)
        made = describe(con, root, columns, files, genes_per_bucket=size, atlas_created=created)
        publish(made)
    return Exported(len(files) - n_kept, n_kept, made)


def check_origin(before: Manifest | None, created: str, path: str | os.PathLike[str]) -> None:
    """Raise AtlasError unless a lake is that of an atlas, which was made at a time."""
    if before and before.atlas_created is None:
        raise AtlasError(
            f"{before.root} is a lake that `sigdb ingest-spark` has added studies to, which {path} may not have. "
            "Choose another folder; `sigdb import-lake` makes an atlas of that one."
        )
    if before and before.atlas_created != created:
        raise AtlasError(
            f"{before.root} is the lake of another atlas, made at {before.atlas_created} ({path}: {created}). "
            "Choose another folder, or remove that one."
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
    """Write those parts that are not there; return the files of all, and how many were there."""
    known = {file.path: file for file in before.files} if before else {}
    kept = {part.path: file for part in parts if (file := part.found(root, known.get(part.path), check=check))}
    files: list[File] = []
    progress(0, len(parts))
    for part in parts:
        files.append(kept.get(part.path) or part.write(con, root))
        progress(len(files), len(parts))
    return files, len(kept)


def describe(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    columns: dict[str, dict[str, str]],
    files: list[File],
    *,
    genes_per_bucket: int,
    atlas_created: str | None,
) -> Manifest:
    """The manifest of a lake of these files, as sigdb writes it now."""
    return Manifest(
        root=str(root.absolute()),
        schema_version=SCHEMA_VERSION,
        sigdb_version=version("sigdb-atlas"),
        exported=now().isoformat(),
        atlas_created=atlas_created,
        genes_per_bucket=genes_per_bucket,
        signature_views=views.viewed(con),
        columns=columns,
        files=files,
    )


@contextmanager
def mine(root: Path, *, keep: bool = True) -> Iterator[None]:
    """Hold a folder for an export, and make it if need be.

    keep: what a block has written that failed, to go on from there; otherwise a folder that was new or empty is so
    again, unless a lake was published in it. Raises AtlasError if the folder has other contents, is held, or has lost
    its manifest.
    """
    manifest.check_place(str(root.absolute()))
    mark = root / MARK
    was_there, was_empty = root.exists(), not mark.exists()
    if was_there and was_empty:
        if not root.is_dir():
            raise AtlasError(f"{root} is a file. A lake is a folder: choose another name.")
        if any(root.iterdir()):
            raise AtlasError(f"{root} is not empty, and not a lake. Choose an empty folder, or a new one.")
    root.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AtlasError(f"Another export to {root} is at work. Wait for it, or end it.") from error
        manifest.check_not_lost(root)
        if (root / manifest.NAME).exists():
            manifest.note_published(root)
        try:
            yield
        finally:
            if was_empty and not keep and not (root / manifest.NAME).exists():
                discard(list(root.iterdir()) if was_there else [root])


def discard(paths: Sequence[Path]) -> None:
    """Remove files, and folders with all that is in them."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def chosen_size(con: duckdb.DuckDBPyConnection, before: Manifest | None) -> int:
    """How many gene ids shall share a file: a power of two; as before, while files have not grown far too large."""
    ((rows_of_gene,),) = con.execute(statements.statement("lake/gene_rows")).fetchall()
    wanted = FILE_ROWS // max(rows_of_gene or 1, 1)
    size = 1 << max(0, min(wanted.bit_length() - 1, 16))
    return before.genes_per_bucket if before and before.genes_per_bucket <= TOLERANCE * size else size
