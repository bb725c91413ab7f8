"""What `sigdb demo` prints: what is in the atlas, two findings, and what to try next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sigdb.cli.output import console, show
from sigdb.cli.progress import progress_bars
from sigdb.cli.reports import print_reports
from sigdb.connection import connect
from sigdb.errors import AtlasError, needs_extra

if TYPE_CHECKING:
    import duckdb


def demo(
    atlas: Annotated[Path, typer.Argument(metavar="ATLAS", help="Where the demo atlas is, or shall be.")] = Path(
        "demo.duckdb"
    ),
) -> None:
    """Build an atlas from the bundled real studies, if there is none, and show what can be asked of it."""
    if not atlas.exists():
        with needs_extra("ingest"):
            from ingest.demo import build_demo
        console.print(f"Building {atlas} from the bundled studies, with the demonstration model.")
        with progress_bars() as report:
            reports = build_demo(atlas, report)
        print_reports(reports)
    with connect(atlas) as con:
        print_findings(con, atlas)


MYELOID = ["CD14+ Monocyte", "MDC", "macrophage", "Microglia/Macrophage"]
MIN_CELLS = 5

QUERIES = {
    "Which cells look most like an MS1 monocyte? The score of any gene list is a function in SQL.": """
SELECT study, cell_type, count(*) AS cells,
       avg(signature_score(cell_id, ['S100A8', 'S100A12', 'VCAN', 'CD163'])) AS score
FROM cells GROUP BY ALL ORDER BY score DESC LIMIT 5""",
    "Tumour against the normal tissue beside it, in the patients who have both: scores join with anything.": """
SELECT donor, avg(score) FILTER (tissue = 'tumour') AS tumour,
       avg(score) FILTER (tissue = 'normal adjacent') AS normal_adjacent
FROM signature_scores(['HALLMARK_INTERFERON_GAMMA_RESPONSE'], missing := 'ignore') JOIN cells USING (cell_id)
WHERE study = 'wu2020_tcell' GROUP BY donor
HAVING tumour IS NOT NULL AND normal_adjacent IS NOT NULL ORDER BY donor""",
    "What does a gene name mean here? Old symbols, aliases and Ensembl ids are understood; nothing is guessed.": """
SELECT * FROM check_genes(['FAM65B', 'CD20', 'ENSG00000143546.9', 's100a9', 'S100A88'])""",
}
PYTHON = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql(sys.argv[2]))"


def print_findings(con: duckdb.DuckDBPyConnection, atlas: Path) -> None:
    """Print the size of the demo atlas, the MS1 score by cell type, the top myeloid genes, and queries to paste."""
    if not con.execute("SELECT 1 FROM studies WHERE study = 'wu2020_tcell'").fetchall():
        raise AtlasError(f"{atlas} is an atlas, but not the demo atlas. Give the demo another path: sigdb demo PATH")
    show(con, f"{atlas} holds", "cli/atlas.overview")
    show(con, "Its studies", "cli/atlas.studies")
    show(
        con,
        f"MS1, the monocyte signature of sepsis: mean score by cell type within each study (types of {MIN_CELLS} or "
        "more cells). n_measured: how many of the n_genes that the model knows, of 99, the study measured; where they "
        "are few, the score says little.",
        "cli/demo.demo_signature",
        {"name": "MS1", "min_cells": MIN_CELLS},
    )
    show(
        con,
        f"The genes that matter most to {', '.join(MYELOID)}: mean attribution, of 1000 a cell, there and elsewhere",
        "cli/demo.demo_top_genes",
        {"cell_types": MYELOID, "n": 12},
    )
    console.print(Text("Three queries to paste", style="bold"), end="\n\n")
    console.print(
        "Each with the ways to run it: sigdb, the DuckDB shell (pip install duckdb-cli), Python with nothing but"
    )
    console.print("duckdb. The macros are in the file, so the last two need no sigdb.\n")
    for title, query in QUERIES.items():
        console.print(f"# {title}", soft_wrap=True)
        console.print(f'Q="{query.strip()}"\n', soft_wrap=True)
        for command in (
            f'sigdb sql {atlas} "$Q"',
            f'duckdb -readonly {atlas} -c "$Q"',
            f'python -c "{PYTHON}" {atlas} "$Q"',
        ):
            console.print(f"  {command}", soft_wrap=True)
        console.print()
    console.print(
        "The demonstration model was trained on these few cells, to show how sigdb works. It is not for research."
    )
