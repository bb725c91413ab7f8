"""`sigdb annotate`: change the metadata of cells without attributing them again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli.ingest_options import parse_mapping
from sigdb.cli.options import AtlasFile
from sigdb.cli.output import console, print_note, print_table
from sigdb.cli.parameters import expand_options
from sigdb.errors import OptionError, listed, needs_extra
from sigdb.text import count

if TYPE_CHECKING:
    from ingest.annotate.annotate import AnnotateReport

app = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class AnnotateParameters:
    """The options of `ingest.AnnotateOptions`."""

    on: Annotated[
        list[str],
        typer.Option(
            metavar="NAME[=COLUMN]",
            help="A column of `cells` that tells which cells a row of FILE is about (barcode, sample, donor, ...), and "
            "the column of FILE that it is compared with, if that has another name. Repeatable. Default: barcode, or "
            "else the first column of FILE. A column `study` of FILE is always compared.",
        ),
    ] = field(default_factory=list)
    study: Annotated[str | None, typer.Option(help="Change cells of this study only.")] = None
    mapping: Annotated[
        list[str],
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Fill a field (disease, donor, ...) from this column of FILE. Repeatable. Default: usual names.",
        ),
    ] = field(default_factory=list)
    columns: Annotated[
        list[str],
        typer.Option(
            "--column",
            metavar="COLUMN",
            help="Take this column of FILE. Repeatable. Default: all columns, unless --map or --obsm names some.",
        ),
    ] = field(default_factory=list)
    obsm: Annotated[
        list[str],
        typer.Option(help="Take two dimensions of this embedding: umap_1 and umap_2 for X_umap. Repeatable."),
    ] = field(default_factory=list)
    unmatched: Annotated[
        str,
        typer.Option(metavar="[error|ignore]", help="What to do with rows that name no cell: stop, or leave them out."),
    ] = "error"
    clear: Annotated[
        bool, typer.Option("--clear", help="Empty values of FILE remove values. Default: they change nothing.")
    ] = False


@app.command(
    "annotate", epilog="Example: sigdb annotate demo.duckdb donors.csv --on sample --map donor=patient --dry-run"
)
@expand_options
def annotate(
    atlas: AtlasFile,
    parameters: AnnotateParameters,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="Metadata: a table (.csv, .tsv, .parquet; .gz) or AnnData (.h5ad, or a zarr folder)."
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Remove this column of `cells`, which is no field. Repeatable. Without FILE."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Change or add metadata of cells that an atlas has, without attributing them again.

    Cells keep their ids and scores. All of FILE is taken, or nothing.
    """
    with needs_extra("ingest"):
        from ingest.annotate import AnnotateOptions, annotate_cells, drop_columns

    if (file is None) != bool(drop) or (drop and parameters != AnnotateParameters()):
        raise OptionError("Give FILE with its options, or --drop COLUMN alone.")
    if file is None:
        drop = drop or []
        drop_columns(atlas, drop, dry_run=dry_run)
        console.print("Nothing was changed." if dry_run else f"Removed {listed(drop)} from {atlas}.")
        return
    p = parameters
    on = {name: column or name for name, _, column in (each.partition("=") for each in p.on)}
    mapping = parse_mapping(p.mapping)
    options = AnnotateOptions(on, p.study, mapping, p.columns, p.obsm, p.unmatched, p.clear)
    print_changes(annotate_cells(atlas, file, options, dry_run=dry_run), atlas, dry_run=dry_run)


def print_changes(report: AnnotateReport, atlas: str, *, dry_run: bool) -> None:
    """Print what changed in each column, and the notes."""
    rows = [
        [each.column, each.n_cells, old, new, n] if place == 0 else [None, None, old, new, n]
        for each in report.changes
        for place, (old, new, n) in enumerate(each.commonest)
    ]
    if rows:
        print_table(["column", "cells changed", "commonest: from", "to", "cells"], rows)
    for note in report.notes:
        print_note(note)
    named = f"{count(report.n_rows, 'row')} named {count(report.n_named, 'cell')} of {', '.join(report.studies)}"
    these = "this study" if len(report.studies) == 1 else "these studies"
    console.print(f"{named}; unchanged: {count(report.n_others, 'other cell')} of {these}.")
    if not rows:
        console.print("Nothing changes: the cells have these values already.")
    elif dry_run:
        console.print("Nothing was changed.")
    else:
        console.print(f"Changed {listed([each.column for each in report.changes])} in {atlas}.")
