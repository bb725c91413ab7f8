"""`sigdb explore` and `sigdb page`: the explorer page on this machine, and for a web host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.output import console
from sigdb.cli.paths import existing_atlas

app = typer.Typer()


@app.command("page", epilog="Example: sigdb page site demo.duckdb")
def page(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The folder to write: new, empty, or with a page. With --single, an .html file."
        ),
    ],
    atlas: Annotated[
        Path | None,
        typer.Argument(
            metavar="ATLAS",
            help="The atlas file to copy beside the page. Without one, readers pick a file of their machine.",
            callback=lambda value: value and Path(existing_atlas(str(value))),
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="The address of an atlas that is elsewhere. Its host must allow the page to read it (CORS)."),
    ] = None,
    single: Annotated[
        bool, typer.Option("--single", help="Write one self-contained file, which also works without a web host.")
    ] = False,
) -> None:
    """Write the explorer page as static files for any web host with range requests, or as one file.

    The page runs DuckDB in the browser. It reads the parts of the atlas that a question needs, and sends nothing.
    """
    from sigdb.disk import size_text
    from sigdb.errors import QueryError
    from sigdb.explorer.pages import write_page, write_single_page

    if single and atlas:
        raise QueryError(f"A page of one file does not hold {atlas}: its readers pick the file. Leave out the atlas.")
    done = write_single_page(out, url=url) if single else write_page(out, atlas, url=url)
    console.print(f"Wrote {done.path}: {size_text(done.n_bytes)}.", soft_wrap=True)
    if done.atlas is None:
        console.print("It asks its readers to pick an atlas file.")
    elif not single:
        console.print("Serve this folder from a web host that answers range requests, and does not compress .duckdb.")
