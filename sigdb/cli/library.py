"""`sigdb signatures`: the library of gene sets that an atlas carries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.ask import AtlasPath, FormatOption, MissingOption, OutputOption, RunOption
from sigdb.cli.output import Format, console, dump
from sigdb.connection import connect
from sigdb.errors import SignatureError, listed
from sigdb.lake.grow import writable
from sigdb.signatures import Signature, read_signatures
from sigdb.statements import statement

app = typer.Typer(
    no_args_is_help=True,
    help="The library of gene signatures that an atlas carries.",
    epilog="Example: sigdb signatures list demo.duckdb",
)


@app.command("add", epilog="Example: sigdb signatures add demo.duckdb hallmark.gmt --replace")
def add(
    atlas: AtlasPath,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="GMT; or CSV, TSV, text: one gene a line, or gene,weight.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the signature of a CSV, TSV or text file (default: the file's).")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace signatures of the same names.")] = False,
) -> None:
    """Add the signatures of files to the library, all or none."""
    if name is not None and len(files) > 1:
        raise SignatureError(f"--name is for one file; there are {len(files)}.")
    new: list[Signature] = [each for file in files for each in read_signatures(file, name=name)]
    with writable(atlas) as opened:
        opened.add_signatures(new, replace=replace)
    genes = sum(len(each.genes) for each in new)
    console.print(
        f"Added {len(new)} signature{'s'[: len(new) != 1]} of {genes} genes: {listed([each.name for each in new], 5)}."
    )


@app.command("list", epilog="Example: sigdb signatures list demo.duckdb --format csv")
def list_(atlas: AtlasPath, form: FormatOption = Format.table, output: OutputOption = None) -> None:
    """List the signatures of the library, and how many of their genes the atlas can score."""
    with connect(atlas) as con:
        dump(con, statement("cli/library.signatures"), {}, form, output)


@app.command("show", epilog="Example: sigdb signatures show demo.duckdb MS1")
def show(
    atlas: AtlasPath,
    name: Annotated[str, typer.Argument(help="A signature of the library.")],
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Show the genes of a signature, and what each means in this atlas."""
    with connect(atlas) as con:
        if not con.execute("SELECT 1 FROM signature_info WHERE signature = ?", [name]).fetchall():
            raise SignatureError(f"No such signature: {name}. `sigdb signatures list {atlas}` shows those there are.")
        dump(con, statement("cli/library.signature"), {"name": name}, form, output)


@app.command("materialize", epilog="Example: sigdb signatures materialize demo.duckdb MS1 --missing ignore")
def materialize(
    atlas: AtlasPath,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Signatures of the library.")],
    missing: MissingOption = "error",
    run: RunOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget the scores that are kept, in all runs.")] = False,
) -> None:
    """Keep the scores of signatures in the file: signature_scores then reads them instead of adding them up.

    They follow the atlas: studies and signatures that are added later are taken in.
    """
    with writable(atlas) as opened:
        if remove:
            opened.unmaterialize(names)
        else:
            opened.materialize(names, missing=missing, run=run)
        kept = opened.con.execute("SELECT count(*) FROM materialized_signatures").fetchall()[0][0]
    verb = "Forgot the scores" if remove else "Kept the scores"
    console.print(f"{verb} of {listed(names, 5)}. The atlas keeps those of {kept} signature{'s'[: kept != 1]}.")


@app.command("view", epilog="Example: sigdb signatures view demo.duckdb MS1 --missing ignore")
def view(
    atlas: AtlasPath,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Signatures of the library.")],
    missing: MissingOption = "error",
    remove: Annotated[bool, typer.Option("--remove", help="Drop the views.")] = False,
) -> None:
    """Make views of signatures, for clients that attach the atlas and do not USE it.

    cell_scores."NAME" has a row a cell, sample_scores."NAME" one a sample and cell type. They follow the atlas.
    """
    with writable(atlas) as opened:
        if remove:
            opened.drop_views(names)
        else:
            opened.add_views(names, missing=missing)
    console.print(f"{'Dropped' if remove else 'Made'} the views cell_scores and sample_scores of {listed(names, 5)}.")
