"""`sigdb explore` and `sigdb page`: the explorer page on this machine, and for a web host."""

from __future__ import annotations

import os
import webbrowser
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli.options import ServedPath
from sigdb.cli.output import console
from sigdb.cli.paths import existing_atlas
from sigdb.errors import needs_extra

if TYPE_CHECKING:
    from sigdb.serve.gate import Gate

app = typer.Typer()

# A person who asks on their own machine may wait. The page cancels what nobody waits for.
SECONDS = 3600.0
AT_ONCE = 4


@app.command("explore", epilog="Example: sigdb explore demo.duckdb")
def explore(
    atlas: ServedPath,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of the page. Default: a free one.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and do not open it in a browser.")
    ] = False,
) -> None:
    """Open an atlas in the browser: signatures, charts and SQL.

    The page is served to this machine only. Ctrl-C ends it.
    """
    with needs_extra("serve"):
        from sigdb.serve.server import Address, HttpDoor, opened
    from sigdb.cli.serve import check_opens
    from sigdb.explorer.pages import page_files
    from sigdb.serve.atlases import Atlases
    from sigdb.serve.gate import Gate, Limits
    from sigdb.serve.log import QueryLog

    page_files()
    atlases, limits = Atlases(atlas), Limits(seconds=SECONDS, at_once=AT_ONCE, per_user=AT_ONCE)
    check_opens(atlases, limits)
    with closing(QueryLog(os.devnull)) as log:
        gate = Gate(atlases, None, limits, log)
        with opened(gate, [HttpDoor(gate, Address(port=port))]) as (address,):
            show(gate, f"{', '.join(atlases.paths())} is open at {address} (Ctrl-C ends it)", address, no_browser)


def show(gate: Gate, said: str, address: str, no_browser: bool) -> None:
    """Print where the page is, open it, and wait for Ctrl-C."""
    console.print(said, soft_wrap=True)
    gate.processes.warm_up()
    if not no_browser and not webbrowser.open(address):
        console.print("No browser was found: open this address in one.")
    Event().wait()


@app.command("page", epilog="Example: sigdb page site demo.duckdb")
def page(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The folder to write: new, empty, or with a page. With --single, an .html file."
        ),
    ],
    atlases: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="ATLAS...",
            help="The atlas files to copy beside the page. Without one, readers pick a file of their machine.",
            callback=lambda values: [Path(existing_atlas(str(value))) for value in values or ()],
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
    from sigdb.errors import QueryError, listed
    from sigdb.explorer.pages import write_page, write_single_page

    files = atlases or []
    if single and files:
        raise QueryError(
            f"A page of one file holds no atlas: its readers pick the file. Leave out {listed(map(str, files))}."
        )
    done = write_single_page(out, url=url) if single else write_page(out, *files, url=url)
    console.print(f"Wrote {done.path}: {size_text(done.n_bytes)}.", soft_wrap=True)
    if not done.atlases:
        console.print("It asks its readers to pick an atlas file.")
    elif not single:
        console.print("Serve this folder from a web host that answers range requests, and does not compress .duckdb.")
