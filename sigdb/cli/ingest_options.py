"""Options of the commands that make an atlas: which model, how to attribute, and what to record about a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from ingest.options import ARCHITECTURES, METHODS, PRECISIONS, QUADRATURES, SUMMATIONS
from sigdb.cli.options import (
    ATTRIBUTION,
    COMPUTING,
    METADATA,
    MODEL,
    STUDY,
    IfExistsOption,
    LayerOption,
    LicenceOption,
    MappingOption,
    MinGenesOption,
    OrganismOption,
    QuietOption,
    RunNameOption,
    StepsOption,
    choice,
)
from sigdb.cli.paths import existing
from sigdb.errors import ModelError, ObsError, SigdbError, SparkError

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
