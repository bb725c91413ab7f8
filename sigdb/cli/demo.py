"""`sigdb demo`: build the demo atlas, show two findings, and print queries to paste."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sigdb.cli.output import console, print_query

if TYPE_CHECKING:
    import duckdb

app = typer.Typer()

MYELOID = ["CD14+ Monocyte", "MDC", "macrophage", "Microglia/Macrophage"]
MIN_CELLS = 5
# A study by which the demo atlas is recognised.
STUDY = "wu2020_tcell"

# Named statements of sql/cli/demo.sql, each with the question that it answers.
QUERIES = {
    "paste_scores": "Which cells look most like an MS1 monocyte? z compares each cell with matched control genes.",
    "paste_donors": "Tumour against adjacent normal tissue, in the patients who have both: scores join with any table.",
    "paste_genes": "What does a gene name mean here? Old symbols, aliases and Ensembl ids are resolved, never guessed.",
}
PYTHON = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql(sys.argv[2]))"


@app.command("demo", epilog="Example: sigdb demo demo.duckdb")
def demo(
    atlas: Annotated[
        Path, typer.Argument(metavar="ATLAS", help="The demo atlas. It is built if it does not exist.")
    ] = Path("demo.duckdb"),
    attribute: Annotated[
        bool,
        typer.Option(
            "--attribute",
            help="Run the demonstration model on the studies, instead of loading the attributions that it gave. Needs "
            "the ingest extra.",
        ),
    ] = False,
) -> None:
    """Build the demo atlas from the bundled real studies, and show what it can answer.

    The attributions of the studies are bundled too, so this takes seconds and needs no torch.
    """
    from sigdb.connection import connect

    if attribute:
        run_model(atlas)
    elif not atlas.exists():
        from ingest.demo import build_demo

        console.print(f"Building {atlas} from the bundled attributions of five studies.")
        build_demo(atlas)
    with connect(atlas) as con:
        print_findings(con, atlas)
    print_queries(atlas)
    console.print(
        "The demonstration model was trained on these few cells, to show how sigdb works. It is not for research."
    )


def run_model(atlas: Path) -> None:
    """Build the demo atlas with the demonstration model, and print a report of each study."""
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.reports import print_reports
    from sigdb.errors import AtlasError, needs_extra

    if atlas.exists():
        raise AtlasError(f"{atlas} exists already. Remove it, or choose another path: sigdb demo PATH --attribute")
    console.print(f"Building {atlas} from the bundled studies, with the demonstration model.")
    with progress_bars(first="Reading the model and the cells", last="storing") as report, needs_extra("ingest"):
        from ingest.demo import attribute_demo

        reports = attribute_demo(atlas, report)
    print_reports(reports)


def print_findings(con: duckdb.DuckDBPyConnection, atlas: Path) -> None:
    """Print the contents of the demo atlas, the MS1 score by cell type, and the top genes of myeloid cells."""
    from sigdb.errors import AtlasError
    from sigdb.statements import run_statement

    if run_statement(con, "cli/demo.count_study", {"study": STUDY}) == [(0,)]:
        raise AtlasError(f"{atlas} is an atlas, but not the demo atlas. Choose another path: sigdb demo PATH")
    print_query(con, f"Contents of {atlas}", "cli/atlas.overview")
    print_query(con, "Studies", "cli/atlas.studies")
    print_query(
        con,
        f"MS1, the monocyte signature of sepsis, by cell type within each study (types of {MIN_CELLS} or more cells). "
        "Compare z and hit_rate between studies, not score: they are measured against matched control genes at the "
        "same depth. n_measured: how many of the n_genes that the model knows, of 99, the study measured.",
        "cli/demo.signature_by_type",
        {"name": "MS1", "min_cells": MIN_CELLS},
    )
    print_query(
        con,
        f"The genes that matter most to {', '.join(MYELOID)}: mean attribution (1000 per cell) there and elsewhere",
        "cli/demo.top_genes",
        {"cell_types": MYELOID, "n": 12},
    )


def print_queries(atlas: Path) -> None:
    """Print queries, with three ways to run each."""
    from sigdb.statements import statement

    console.print(Text("Three queries to paste", style="bold"), end="\n\n")
    console.print(
        "Each query can be run in three ways: with sigdb, in the DuckDB shell (pip install duckdb-cli), and in Python\n"
        "with DuckDB alone. The macros are in the file, so the last two do not need sigdb.\n"
    )
    for name, question in QUERIES.items():
        lines = statement(f"cli/demo.{name}").splitlines()
        query = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        console.print(f"# {question}", soft_wrap=True)
        console.print(f'Q="{query}"\n', soft_wrap=True)
        for command in (
            f'sigdb sql {atlas} "$Q"',
            f'duckdb -readonly {atlas} -c "$Q"',
            f'python -c "{PYTHON}" {atlas} "$Q"',
        ):
            console.print(f"  {command}", soft_wrap=True)
        console.print()
