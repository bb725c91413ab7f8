"""Arguments and options of the commands, each declared once.

A parameter has the name that it has in Python, so that messages of the library can be translated
(`sigdb.cli.translate`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.options import IF_EXISTS
from sigdb.cli import complete
from sigdb.cli.paths import existing, existing_atlas, new_file, page, picture
from sigdb.cli.trust import ATLAS_TO_READ
from sigdb.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


MISSING = {"error": "stop", "ignore": "leave them out and say so"}
AGG = {"mean": "their weighted mean", "sum": "their weighted sum"}


class Format(StrEnum):
    """Formats of a result."""

    table = "table"
    csv = "csv"
    tsv = "tsv"
    json = "json"
    ndjson = "ndjson"
    parquet = "parquet"
    md = "md"
    html = "html"


# The panels of the help of `sigdb ingest` and its like.
MODEL, ATTRIBUTION, STUDY, METADATA, COMPUTING = "Model", "Attribution", "Study", "Metadata", "Computing"


def choice(known: Mapping[str, str], text: str, panel: str | None = None, *, flag: str | None = None) -> Any:
    """An option whose value is one of some names; the help, in a panel of its own, says what each name means."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, known))}.{nearest(value, known)}")
        return value

    meanings = "; ".join(f"{name}: {meaning.rstrip('.')}" for name, meaning in known.items())
    return typer.Option(
        *filter(None, [flag]),
        metavar=f"[{'|'.join(known)}]",
        help=f"{text} {meanings}.",
        callback=check,
        autocompletion=lambda: list(known),
        rich_help_panel=panel,
    )


# Atlases, lakes and signatures

AtlasPath = Annotated[str, typer.Argument(metavar="ATLAS", help=ATLAS_TO_READ, callback=existing_atlas)]
AtlasFile = Annotated[str, typer.Argument(metavar="ATLAS", help="The atlas file.", callback=existing_atlas)]
WritablePath = Annotated[
    str,
    typer.Argument(
        metavar="ATLAS",
        help="The atlas file, or a lake to which `sigdb ingest-spark` added studies.",
        callback=existing_atlas,
    ),
]
ServedPath = Annotated[
    Path,
    typer.Argument(
        metavar="ATLAS",
        help="The atlas file, or a folder of atlas files.",
        callback=existing("atlas file or folder of atlas files"),
    ),
]
NewAtlasPath = Annotated[
    Path,
    typer.Argument(metavar="ATLAS", help="The atlas file. It is created if it does not exist.", callback=new_file),
]
MissingOption = Annotated[
    str | None,
    choice(
        MISSING,
        "What to do with genes that the atlas does not know. Default: ignore for a signature of the library, error for "
        "genes.",
    ),
]
AggOption = Annotated[str, choice(AGG, "How scores of genes are combined.")]
RunOption = Annotated[
    str | None,
    typer.Option(
        help="The attribution run to read. Default: the default run of the atlas.", autocompletion=complete.runs
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="The format of the result. Default: the one that the suffix of --output says, and a table otherwise.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the whole result to this file instead of the terminal: .csv, .tsv, .json, .ndjson, .parquet, .md, "
        ".html or .txt.",
        callback=new_file,
    ),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        help="Draw a chart into this file: .html, .png, .svg or .json. This needs the extra plots.", callback=picture
    ),
]
PageOption = Annotated[
    Path | None,
    typer.Option(help="Write a page with charts to this .html file. This needs the extra plots.", callback=page),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be read, and stop before anything is computed or written."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and the final report.")]

# Studies

OrganismOption = Annotated[str | None, typer.Option(help="The organism of the study.", rich_help_panel=STUDY)]
LicenceOption = Annotated[str | None, typer.Option(help="The licence of the data.", rich_help_panel=STUDY)]
MappingOption = Annotated[
    list[str],
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="Fill a field (disease, donor, ...) from this obs column. FIELD= leaves the field empty. Repeatable.",
        rich_help_panel=METADATA,
    ),
]
RunNameOption = Annotated[
    str | None,
    typer.Option(
        help="The name of the attribution run. Default: made from model and method.", rich_help_panel=ATTRIBUTION
    ),
]
IfExistsOption = Annotated[
    str, choice(IF_EXISTS, "What to do with a study that the atlas already has, with this model and method.", STUDY)
]


LayerOption = Annotated[
    str | None,
    typer.Option(
        help="The matrix of raw counts: a layer, X or raw; or the genome, if there are several; in MuData and "
        "SpatialData, after the AnnData to read (mod/rna, mod/rna/counts). Default: the matrix with counts of the most "
        "genes.",
        rich_help_panel=STUDY,
    ),
]
MinGenesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="The fewest genes that study and model must share. Default: 500, or half the genes of a smaller model.",
        rich_help_panel=MODEL,
    ),
]
StepsOption = Annotated[
    int, typer.Option("--steps", min=1, help="The number of integration steps of ig.", rich_help_panel=ATTRIBUTION)
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="cpu, cuda, cuda:N or mps. With auto: cuda if there is a GPU, and cpu otherwise.",
        rich_help_panel=COMPUTING,
    ),
]
