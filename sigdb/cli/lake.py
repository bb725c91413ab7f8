"""`sigdb export`, `attach-lake` and `import-lake`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.options import AtlasFile
from sigdb.cli.output import console

app = typer.Typer()


@app.command("export", epilog="Example: sigdb export demo.duckdb demo.lake")
def export(
    atlas: AtlasFile,
    lake: Annotated[
        Path, typer.Argument(metavar="LAKE", help="The folder of the lake: new, empty, or a lake of this atlas.")
    ],
    genes_per_bucket: Annotated[
        int | None,
        typer.Option(
            min=1, help="The number of gene ids that share a file. Default: a number that makes files of 300 MB."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare checksums as well, and write damaged files again.")
    ] = False,
) -> None:
    """Export the tables of an atlas as Parquet, for this and other engines.

    If the lake exists, only what has changed is written.
    """
    import sigdb
    from sigdb.cli.progress import progress_bars

    with progress_bars("files") as report:
        done = sigdb.export_lake(
            atlas,
            lake,
            genes_per_bucket=genes_per_bucket,
            check=check,
            progress=lambda n, total: report(Path(atlas).name, n, total),
        )
    console.print(
        f"{lake}: {done.written} files written, {done.kept} unchanged, {done.manifest.bytes / 1e6:,.1f} MB in total."
    )


@app.command("attach-lake", epilog="Example: sigdb attach-lake toy.lake attached.duckdb")
def attach_lake(
    lake: Annotated[str, typer.Argument(metavar="LAKE", help="The folder or the address of the lake.")],
    atlas: Annotated[Path, typer.Argument(metavar="OUT", help="The DuckDB file to create.")],
) -> None:
    """Create a small DuckDB file with views of a lake as it is now, and with all views and macros of an atlas."""
    import sigdb

    sigdb.attach_lake(lake, atlas)
    console.print(f"{atlas} shows {lake}. Query it as an atlas, wherever the files of the lake can be read.")


@app.command("import-lake", epilog="Example: sigdb import-lake toy.lake imported.duckdb")
def import_lake(
    lake: Annotated[str, typer.Argument(metavar="LAKE", help="The folder of the lake.")],
    atlas: Annotated[Path, typer.Argument(metavar="ATLAS", help="The atlas file to create.")],
) -> None:
    """Create an atlas file from a lake, after comparing the checksums of its files."""
    import sigdb
    from sigdb.cli.progress import progress_bars

    with progress_bars("rows") as report:
        sigdb.import_lake(lake, atlas, progress=lambda n, total: report(atlas.name, n, total))
    console.print(f"{atlas}: {atlas.stat().st_size / 1e6:,.1f} MB.")
