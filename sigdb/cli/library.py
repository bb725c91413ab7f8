"""`sigdb signatures`: the library of gene signatures that an atlas carries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli import complete
from sigdb.cli.commands import Group
from sigdb.cli.findings import View
from sigdb.cli.options import (
    AtlasPath,
    FormatOption,
    MissingOption,
    OutputOption,
    RunOption,
    WritablePath,
)
from sigdb.cli.output import console, dump, print_note
from sigdb.cli.parameters import expand_options
from sigdb.cli.paths import existing
from sigdb.text import count

if TYPE_CHECKING:
    import duckdb

app = typer.Typer()
signatures_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Manage the library of gene signatures that an atlas carries.",
    epilog="Example: sigdb signatures list demo.duckdb",
)
app.add_typer(signatures_app, name="signatures")

NamesArgument = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="Names of signatures of the library.", autocompletion=complete.signatures),
]


@signatures_app.command("add", epilog="Example: sigdb signatures add demo.duckdb hallmark.gmt --replace")
def add(
    atlas: WritablePath,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="GMT files; or CSV, TSV or text files with one gene per line, or gene,weight.",
            callback=existing(),
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The name of the signature of a CSV, TSV or text file. Default: the name of the file."),
    ] = None,
    weight_column: Annotated[
        str | None,
        typer.Option(
            help="The column of weights of a CSV or TSV file. Default: weight, if it has one. '': no weights."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace signatures of the same names.")] = False,
) -> None:
    """Add the signatures of files to the library, all or none."""
    from sigdb.errors import SignatureError, listed
    from sigdb.lake.grow import open_writable
    from sigdb.signatures import read_signatures
    from sigdb.statements import run_statement

    if name is not None and len(files) > 1:
        raise SignatureError(f"--name names the signature of one file, but {len(files)} files are given.")
    new = [each for file in files for each in read_signatures(file, name=name, weight_column=weight_column)]
    with open_writable(atlas) as opened:
        opened.add_signatures(new, replace=replace)
        named = {"names": [each.name for each in new]}
        like_genes = [gene for (gene,) in run_statement(opened.con, "cli/library.named_like_genes", named)]
    genes = sum(len(each.genes) for each in new)
    names = listed([each.name for each in new], 5)
    console.print(f"Added {count(len(new), 'signature')} of {count(genes, 'gene')}: {names}.")
    if like_genes:
        print_note(
            f"{count(len(like_genes), 'name')} of signatures can also mean a gene: "
            f"{listed(like_genes, 5)}. Commands then mean the signature; --as-genes means the gene."
        )


@signatures_app.command("list", epilog="Example: sigdb signatures list demo.duckdb --format csv")
def list_signatures(atlas: AtlasPath, form: FormatOption = None, output: OutputOption = None) -> None:
    """List the signatures of the library, with the number of their genes that the atlas can score."""
    from sigdb.cli.trust import connect
    from sigdb.statements import statement

    with connect(atlas) as con:
        dump(con, statement("cli/library.signatures"), {}, form, output)


@signatures_app.command("show", epilog="Example: sigdb signatures show demo.duckdb MS1")
def show(
    atlas: AtlasPath,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The name of a signature of the library.", autocompletion=complete.signatures
        ),
    ],
    form: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Show the genes of a signature, and what each means in this atlas."""
    from sigdb.cli.trust import connect
    from sigdb.scores.members import find_signatures
    from sigdb.statements import statement

    with connect(atlas) as con:
        (signature,) = find_signatures(con, [name])
        dump(con, statement("cli/library.signature"), {"name": signature}, form, output)


@signatures_app.command("remove", epilog="Example: sigdb signatures remove demo.duckdb HALLMARK_SPERMATOGENESIS")
def remove(atlas: WritablePath, signatures: NamesArgument) -> None:
    """Remove signatures from the library, with their stored scores and their views, all or none."""
    from sigdb.errors import listed
    from sigdb.lake.grow import open_writable
    from sigdb.scores.members import signature_names

    with open_writable(atlas) as opened:
        removed = opened.remove_signatures(signatures)
        left = len(signature_names(opened.con))
    console.print(
        f"Removed {count(len(removed), 'signature')}: {listed(removed, 5)}. The library has {count(left, 'signature')}."
    )


@dataclass(frozen=True)
class RankOptions:
    """The options of `sigdb.rank_signatures`, but for the cells."""

    min_cells: Annotated[
        int, typer.Option(min=1, help="The fewest cells of the group in a study, and the fewest others.")
    ] = 10
    run: RunOption = None


@signatures_app.command("rank", epilog="Example: sigdb signatures rank demo.duckdb --cell-type MDC --cell-type DC")
@expand_options
def rank(
    atlas: AtlasPath,
    options: RankOptions,
    form: FormatOption = None,
    output: OutputOption = None,
    cells: Annotated[
        str | None,
        typer.Option(help="The group: a SQL condition on the columns of the cube, such as \"tissue = 'blood'\"."),
    ] = None,
    cell_type: Annotated[
        list[str] | None,
        typer.Option(help="The group: cells of this type. Repeatable. With --cells, both must hold."),
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL behind the ranking instead of the table.")] = False,
) -> None:
    """What is special about some cells? Rank all signatures of the library by how much they are raised there.

    The group is compared with the other cells of the same studies, gene by gene beside matched control genes.
    """
    import sigdb
    from sigdb.cli.trust import connect

    with connect(atlas) as con:
        found = sigdb.rank_signatures(con, cells=condition_of(con, cells, cell_type or []), **asdict(options))
    View(sql=sql, form=form, output=output).show(found, "", important=("z", "q_value", "p_value"))


def condition_of(con: duckdb.DuckDBPyConnection, cells: str | None, cell_types: list[str]) -> str:
    """The condition that chooses a group. Raises QueryError if there is none, and for an unknown cell type."""
    from sqlglot import exp

    from sigdb.errors import QueryError, listed, nearest
    from sigdb.statements import parse_condition, run_statement

    if not cell_types and not cells:
        raise QueryError("Say which cells: --cell-type NAME, or --cells CONDITION.")
    known = [name for (name,) in run_statement(con, "cli/library.cell_types")]
    if unknown := [name for name in cell_types if name not in known]:
        raise QueryError(
            f"No cell has the type {listed(unknown)}.{nearest(unknown[0], known)} The types are: {listed(known, 10)}."
        )
    chosen = [exp.column("cell_type").isin(*cell_types)] if cell_types else []
    return exp.and_(*chosen, *([parse_condition(cells)] if cells else [])).sql("duckdb")


@signatures_app.command("materialize", epilog="Example: sigdb signatures materialize demo.duckdb MS1")
def materialize(
    atlas: WritablePath,
    signatures: NamesArgument,
    missing: MissingOption = None,
    run: RunOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the stored scores, in all runs.")] = False,
) -> None:
    """Store the scores of signatures in the atlas, so that signature_scores reads them instead of computing them.

    When studies or signatures are added, the stored scores are updated.
    """
    from sigdb.errors import listed
    from sigdb.lake.grow import open_writable
    from sigdb.statements import run_statement

    with open_writable(atlas) as opened:
        if remove:
            opened.unmaterialize(signatures)
        else:
            opened.materialize(signatures, missing=missing or "ignore", run=run)
        ((kept,),) = run_statement(opened.con, "cli/library.count_materialized")
    verb = "Removed" if remove else "Stored"
    console.print(
        f"{verb} the scores of {listed(signatures, 5)}. The atlas stores the scores of {count(kept, 'signature')}."
    )


@signatures_app.command("view", epilog="Example: sigdb signatures view demo.duckdb MS1")
def view(
    atlas: WritablePath,
    signatures: NamesArgument,
    missing: MissingOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the views.")] = False,
) -> None:
    """Make views of signatures, for clients that attach the atlas and do not USE it.

    cell_scores."NAME" has one row per cell. sample_scores."NAME" has one row per sample and cell type.

    When the atlas changes, so do the views.
    """
    from sigdb.errors import listed
    from sigdb.lake.grow import open_writable

    with open_writable(atlas) as opened:
        if remove:
            opened.drop_views(signatures)
        else:
            opened.add_views(signatures, missing=missing or "ignore")
    verb = "Removed" if remove else "Made"
    console.print(f"{verb} the views cell_scores and sample_scores of {listed(signatures, 5)}.")
