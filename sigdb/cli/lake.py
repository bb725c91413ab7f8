"""`sigdb export`, `attach-lake` and `import-lake`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.ask import AtlasPath
from sigdb.cli.output import console
from sigdb.cli.progress import progress_bars
from sigdb.lake import restore
from sigdb.lake.export import export_lake
from sigdb.lake.open import attach_lake as attach

LakePath = Annotated[str, typer.Argument(metavar="LAKE", help="The folder of a lake, or its address.")]


def export(
    atlas: AtlasPath,
    lake: Annotated[Path, typer.Argument(metavar="LAKE", help="The folder: a new or empty one, or its lake.")],
    genes_per_bucket: Annotated[
        int | None,
        typer.Option(min=1, help="How many gene ids share a file. Without: as many as make files of some 300 MB."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare checksums, too, and write damaged files anew.")
    ] = False,
) -> None:
    """Write the tables of an atlas as Parquet, or what has changed since the last time, for other engines too."""
    with progress_bars("files") as report:
        done = export_lake(
            atlas,
            lake,
            genes_per_bucket=genes_per_bucket,
            check=check,
            progress=lambda n, total: report(Path(atlas).name, n, total),
        )
    console.print(
        f"{lake}: {done.written} files written, {done.kept} as they were; {done.manifest.bytes / 1e6:,.1f} MB in all."
    )


def attach_lake(
    lake: LakePath, atlas: Annotated[Path, typer.Argument(metavar="OUT", help="The DuckDB file to make.")]
) -> None:
    """Make a small DuckDB file whose tables are views over a lake as it is now, with all views and macros."""
    attach(lake, atlas)
    console.print(f"{atlas} shows {lake}; it is asked as an atlas is, where the files of the lake are in reach.")


def import_lake(
    lake: Annotated[str, typer.Argument(metavar="LAKE", help="The folder of a lake.")],
    atlas: Annotated[Path, typer.Argument(metavar="ATLAS", help="The atlas file to make.")],
) -> None:
    """Make an atlas file of a lake, after comparing the checksums of its files."""
    with progress_bars("rows") as report:
        restore.import_lake(lake, atlas, progress=lambda n, total: report(atlas.name, n, total))
    console.print(f"{atlas}: {atlas.stat().st_size / 1e6:,.1f} MB.")
