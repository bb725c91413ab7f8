"""`sigdb genes`: gene names and single genes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli import complete
from sigdb.cli.commands import Group
from sigdb.cli.findings import (
    GroupCellsOption,
    MinCellsOption,
    MinUnitsOption,
    PairedByOption,
    UnitOption,
    View,
)
from sigdb.cli.options import AtlasPath, FormatOption, OutputOption, RunOption
from sigdb.cli.output import dump, is_for_people, print_notes, print_table
from sigdb.cli.parameters import expand_options
from sigdb.cli.paths import existing

app = typer.Typer()
genes_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Look up gene names, and compare genes.",
    epilog="Example: sigdb genes check demo.duckdb FAM65B",
)
app.add_typer(genes_app, name="genes")

COLUMNS = ("gene", "symbol", "gene_id", "status", "suggestion")


@genes_app.command("check", epilog="Example: sigdb genes check demo.duckdb LYZ FAM65B CD20 ENSG00000143546")
def check(
    atlas: AtlasPath,
    genes: Annotated[list[str] | None, typer.Argument(metavar="GENE...", help="The names to look up.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Look up the genes of this GMT, CSV, TSV or text file as well.",
            callback=existing(),
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="The run whose model must know the genes. Default: the default run of the atlas.",
            autocompletion=complete.runs,
        ),
    ] = None,
    form: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Show what each gene name means in an atlas.

    The exit code is 1 if a name is missing or ambiguous.
    """
    from sigdb.cli.trust import connect
    from sigdb.errors import QueryError
    from sigdb.signatures import read_signatures
    from sigdb.statements import run_statement, statement

    names = [*(genes or []), *(gene for each in (read_signatures(file) if file else []) for gene in each.genes)]
    if not names:
        raise QueryError("Name at least one gene, or a file of genes with --file.")
    parameters = {"genes": names, "run": run}
    with connect(atlas) as con:
        rows = run_statement(con, "cli/genes.check", parameters)
        if is_for_people(form, output):
            print_table(COLUMNS, rows)
        else:
            dump(con, statement("cli/genes.check"), parameters, form, output)
    unresolved = sum(row[COLUMNS.index("gene_id")] is None for row in rows)
    print_notes([f"{len(rows) - unresolved:,} of {len(rows):,} names are genes of this atlas."], form, output)
    if unresolved:
        raise typer.Exit(1)


@dataclass(frozen=True)
class GeneCompareOptions:
    """The options of `sigdb.gene_compare`."""

    by: Annotated[str, typer.Option(help="The column whose values are compared.", autocompletion=complete.columns)]
    reference: Annotated[str, typer.Option(help="The value that the other is compared with.")]
    group: Annotated[str | None, typer.Option(help="The other value. Needed if there are several.")] = None
    study: Annotated[str | None, typer.Option(help="Compare in this study only.", autocompletion=complete.studies)] = (
        None
    )
    unit: UnitOption = "donor"
    paired_by: PairedByOption = None
    cells: GroupCellsOption = None
    min_cells: MinCellsOption = 10
    min_units: MinUnitsOption = 3
    min_nonzero: Annotated[int, typer.Option(min=1, help="The fewest cells in which a gene is not 0.")] = 10
    run: RunOption = None


@genes_app.command(
    "compare",
    epilog="Example: sigdb genes compare demo.duckdb --by tissue --reference 'normal adjacent' --group tumour "
    "--paired-by donor --min-cells 3",
)
@expand_options
def compare(atlas: AtlasPath, options: GeneCompareOptions, view: View) -> None:
    """Compare the attribution of each gene between two groups of donors, in each study and across studies."""
    import sigdb
    from sigdb.cli.trust import connect

    with connect(atlas) as con:
        found = sigdb.gene_compare(con, **asdict(options))
    important = ("hedges_g", "q_value", "p_value", "difference", "study", "n_nonzero")
    view.show(found, "volcano", important=important)
