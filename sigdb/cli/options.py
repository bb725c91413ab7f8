"""Arguments and options of the commands, each declared once.

A parameter has the name that it has in Python, so that messages of the library can be translated
(`sigdb.cli.translate`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.options import ARCHITECTURES, IF_EXISTS, METHODS, PRECISIONS, QUADRATURES, SUMMATIONS
from sigdb.cli import complete
from sigdb.cli.paths import existing, existing_atlas, new_file, page, picture
from sigdb.cli.trust import ATLAS_TO_READ
from sigdb.errors import ModelError, ObsError, SigdbError, SparkError, nearest

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
ModelOption = Annotated[str, choice(ARCHITECTURES, "The kind of model.", MODEL)]
MethodOption = Annotated[str, choice(METHODS, "The attribution method.", ATTRIBUTION)]
QuadratureOption = Annotated[str, choice(QUADRATURES, "The integration rule of ig.", ATTRIBUTION)]
SummationOption = Annotated[
    str | None,
    choice(
        SUMMATIONS, "The scalar that is explained. Default: published for ig, dot for ixg and deeplift.", ATTRIBUTION
    ),
]
CovariatesOption = Annotated[
    list[str],
    typer.Option(
        "--covariate",
        metavar="NAME=VALUE",
        help="Fix a covariate of an scVI encoder to a value, such as batch=B1. Repeatable.",
        rich_help_panel=MODEL,
    ),
]
DepthOption = Annotated[
    str | None,
    typer.Option(
        help="For scfoundation: the depth at which the model is asked to see each cell (its token T). t4: a total of "
        "10^4; a5: 10^5 times the total of the cell; f1: once the total. Default: t4.",
        rich_help_panel=MODEL,
    ),
]
PoolOption = Annotated[
    str | None,
    typer.Option(
        help="For scfoundation: how tokens become an embedding. all: S, T, and the maximum and the mean over genes; "
        "max: the maximum over all tokens. Default: all.",
        rich_help_panel=MODEL,
    ),
]
MaxLengthOption = Annotated[
    int | None,
    typer.Option(min=2, help="For scgpt: most tokens of a cell. Default: that of the model.", rich_help_panel=MODEL),
]
DictionariesOption = Annotated[
    Path | None,
    typer.Option(
        help="For geneformer: the folder of the token and median dictionaries. Default: the folder of the model.",
        callback=existing("folder"),
        rich_help_panel=MODEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ModelParameters:
    """The parameters of a command that loads a model."""

    model: ModelOption
    weights: Annotated[
        Path,
        typer.Option(
            help="The folder of the model. For ssl and scfoundation: the checkpoint file.",
            callback=existing("model folder"),
            rich_help_panel=MODEL,
        ),
    ]
    covariates: CovariatesOption = field(default_factory=list)
    depth: DepthOption = None
    pool: PoolOption = None
    max_length: MaxLengthOption = None
    dictionaries: DictionariesOption = None


@dataclass(frozen=True, kw_only=True)
class IngestParameters(ModelParameters):
    """The parameters that `sigdb ingest` and `sigdb ingest-spark` share."""

    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Files of raw counts, one study per file: AnnData (.h5ad, or a zarr folder) or the output of Cell "
            "Ranger (.h5, or a folder with matrix.mtx).",
            callback=existing("file or folder"),
        ),
    ]
    method: MethodOption = "ig"
    n_steps: StepsOption = 50
    quadrature: QuadratureOption = "gausslegendre"
    summation: SummationOption = None
    baseline_cells: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Explain cells against the mean of these reference cells instead of a cell without expression. A "
            "SQL condition on the columns of the view `cells`, such as \"cell_type = 'T cell'\".",
            rich_help_panel=ATTRIBUTION,
        ),
    ] = None
    baseline_file: Annotated[
        Path | None,
        typer.Option(
            help="The file of the reference cells. Default: the first FILE.",
            callback=existing("file or folder"),
            rich_help_panel=ATTRIBUTION,
        ),
    ] = None
    max_error: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Refuse a study whose median estimated error of integration exceeds this share of a cell's "
            "attribution. For ig.",
            rich_help_panel=ATTRIBUTION,
        ),
    ] = None
    study: Annotated[
        str | None,
        typer.Option(
            help="The name of the study, with one FILE. Default: the name of the file.", rich_help_panel=STUDY
        ),
    ] = None
    title: Annotated[str | None, typer.Option(help="The title of the study, with one FILE.", rich_help_panel=STUDY)] = (
        None
    )
    organism: OrganismOption = None
    source: Annotated[
        str | None,
        typer.Option(
            help="The source of the study, such as an accession or a DOI, with one FILE.", rich_help_panel=STUDY
        ),
    ] = None
    licence: LicenceOption = None
    mapping: MappingOption = field(default_factory=list)
    obsm: Annotated[
        list[str],
        typer.Option(
            help="Keep the first two dimensions of this embedding as columns: umap_1 and umap_2 for X_umap. "
            "Repeatable.",
            rich_help_panel=METADATA,
        ),
    ] = field(default_factory=list)
    layer: LayerOption = None
    obs: Annotated[
        Path | None,
        typer.Option(
            help="A table of cell metadata (.csv, .tsv, .parquet), with one FILE: one row per cell, named by the "
            "column `barcode` or else by the first column. Its columns replace columns of the same name in FILE.",
            callback=existing(),
            rich_help_panel=METADATA,
        ),
    ] = None
    run: RunNameOption = None
    if_exists: IfExistsOption = "error"
    min_genes: MinGenesOption = None
    precision: Annotated[
        str, choice(PRECISIONS, "The precision of matrix products after the first layer.", COMPUTING)
    ] = "float32"
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The number of cells to attribute at a time. Default: as many as fit.",
            rich_help_panel=COMPUTING,
        ),
    ] = None
    quiet: QuietOption = False


@dataclass(frozen=True)
class GivenParameters:
    """The parameters that `sigdb load` and `sigdb import-signature` share."""

    model: Annotated[str, typer.Option(help="The model behind the scores, in words.", rich_help_panel=ATTRIBUTION)] = (
        "precomputed"
    )
    method: Annotated[
        str, typer.Option(help="The method that computed the scores, in words.", rich_help_panel=ATTRIBUTION)
    ] = "unknown"
    target_sum: Annotated[
        float, typer.Option(help="The sum of the absolute scores of each cell.", rich_help_panel=ATTRIBUTION)
    ] = 1000.0
    rescale: Annotated[
        bool,
        typer.Option(
            "--rescale",
            help="Scale the scores of each cell so that they add up to --target-sum.",
            rich_help_panel=ATTRIBUTION,
        ),
    ] = False
    organism: OrganismOption = None
    source: Annotated[
        str | None, typer.Option(help="The source of the data, such as an accession or a DOI.", rich_help_panel=STUDY)
    ] = None
    licence: LicenceOption = None
    mapping: MappingOption = field(default_factory=list)
    run: RunNameOption = None
    if_exists: IfExistsOption = "error"
    quiet: QuietOption = False


@dataclass(frozen=True)
class ImportParameters(GivenParameters):
    """The parameters of `GivenParameters`, with the defaults of `sigdb import-signature`."""

    model: Annotated[str, typer.Option(help="The model behind the scores, in words.", rich_help_panel=ATTRIBUTION)] = (
        "SIGnature"
    )
    if_exists: IfExistsOption = "skip"


def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """FIELD=COLUMN pairs as a dict; ObsError for anything else."""
    return parse_pairs(pairs, "--map takes FIELD=COLUMN, or FIELD= for an empty field", ObsError)


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """NAME=VALUE settings of Spark as a dict; SparkError for anything else."""
    return parse_pairs(pairs, "--conf takes NAME=VALUE", SparkError)


def parse_covariates(pairs: list[str]) -> dict[str, str]:
    """NAME=VALUE covariates as a dict; ModelError for anything else."""
    if incomplete := [pair for pair in pairs if pair.endswith("=")]:
        raise ModelError(f"--covariate takes NAME=VALUE, not {incomplete[0]!r}.")
    return parse_pairs(pairs, "--covariate takes NAME=VALUE", ModelError)


def parse_pairs(pairs: list[str], rule: str, kind: type[SigdbError]) -> dict[str, str]:
    """NAME=VALUE pairs as a dict, the value may be empty; an error of this kind for anything else."""
    split = {pair: pair.partition("=") for pair in pairs}
    for pair, (name, sign, _) in split.items():
        if not name or not sign:
            raise kind(f"{rule}, not {pair!r}.")
    return {name: value for name, _, value in split.values()}
