"""`sigdb genes`: what a gene name means in an atlas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.ask import AtlasPath
from sigdb.cli.output import console, print_table
from sigdb.connection import connect
from sigdb.errors import QueryError
from sigdb.signatures import read_signatures

app = typer.Typer(no_args_is_help=True, help="Gene names.", epilog="Example: sigdb genes check demo.duckdb FAM65B")

COLUMNS = ("gene", "symbol", "gene_id", "status", "suggestion")


@app.command("check", epilog="Example: sigdb genes check demo.duckdb LYZ FAM65B CD20 ENSG00000143546")
def check(
    atlas: AtlasPath,
    genes: Annotated[list[str] | None, typer.Argument(metavar="GENE...", help="Names to look up.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Take the genes of this GMT, CSV, TSV or text file.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="The run whose model's genes count (default: the atlas's).")] = None,
) -> None:
    """Say what each gene name means in an atlas. Exit code 1 if any is missing or ambiguous."""
    names = [*(genes or []), *(gene for each in (read_signatures(file) if file else []) for gene in each.genes)]
    if not names:
        raise QueryError("Name at least one gene, or a file of genes with --file.")
    with connect(atlas) as con:
        rows = con.execute("FROM check_genes(?, run := ?)", [names, run]).fetchall()
    print_table(COLUMNS, rows)
    unresolved = sum(row[COLUMNS.index("gene_id")] is None for row in rows)
    console.print(f"{len(rows) - unresolved} of {len(rows)} names are genes of this atlas.")
    if unresolved:
        raise typer.Exit(1)
