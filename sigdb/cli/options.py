"""Options that more than one command has, and what may follow them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sigdb.errors import ModelError, ObsError, SparkError


class Method(StrEnum):
    """Attribution methods."""

    ig = "ig"
    ixg = "ixg"
    deeplift = "deeplift"


class Summation(StrEnum):
    """Scalars that are explained."""

    published = "published"
    dot = "dot"


class Quadrature(StrEnum):
    """Rules for the integral of Integrated Gradients."""

    gausslegendre = "gausslegendre"
    riemann_left = "riemann_left"
    riemann_right = "riemann_right"
    riemann_middle = "riemann_middle"


class Precision(StrEnum):
    """Precisions of matrix products."""

    float32 = "float32"
    tf32 = "tf32"
    bf16 = "bf16"


class IfExists(StrEnum):
    """What to do with a study that the atlas has."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


class Architecture(StrEnum):
    """Model adapters."""

    mlp = "mlp"
    scimilarity = "scimilarity"
    scvi = "scvi"
    ssl = "ssl"


ModelOption = Annotated[Architecture, typer.Option(help="The kind of model that the weights are.")]
WeightsOption = Annotated[Path, typer.Option(help="The model's folder; for ssl, its checkpoint file.")]
CovariateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--covariate",
        metavar="NAME=VALUE",
        help="Fix a covariate that the encoder of an scVI model sees, such as batch=B1; repeatable.",
    ),
]


NewAtlasPath = Annotated[Path, typer.Argument(metavar="ATLAS", help="The atlas file; made if there is none.")]
OrganismOption = Annotated[str | None, typer.Option(help="Organism of the study.")]
LicenceOption = Annotated[str | None, typer.Option(help="Licence of the data.")]
MappingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="Take a field (disease, donor, ...) from this obs column; FIELD= for none; repeatable.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and the final report only.")]
RunNameOption = Annotated[str | None, typer.Option(help="A name for the run (default: model and method).")]
IfExistsOption = Annotated[
    IfExists,
    typer.Option(
        help="What to do with a study that the atlas has, with this model and method: refuse it, leave it as it is, or "
        "put the new one in its place."
    ),
]
FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="Raw counts, a study each: AnnData (.h5ad, a zarr folder) or the output of Cell Ranger (.h5, a folder "
        "with matrix.mtx).",
    ),
]
MethodOption = Annotated[
    Method, typer.Option(help="Integrated Gradients, Input x Gradient, or DeepLIFT by the Rescale rule.")
]
StepsOption = Annotated[int, typer.Option(min=1, help="Integration steps of ig.")]
QuadratureOption = Annotated[Quadrature, typer.Option(help="Integration rule of ig.")]
SummationOption = Annotated[
    Summation | None,
    typer.Option(
        help="What is explained: sum of |e(x) e(x')| of the model's embedding, as published, or the dot product of "
        "the embedding before it is normalised (default: published for ig, dot for ixg and deeplift)."
    ),
]
BaselineCellsOption = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="Explain cells against the mean of reference cells, not against a cell without expression: SQL on the "
        "columns that the view `cells` has of them, such as \"cell_type = 'T cell'\".",
    ),
]
BaselineFileOption = Annotated[
    Path | None, typer.Option(help="AnnData file of the reference cells (default: the first FILE).")
]
MaxDeltaOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Refuse a study whose median |completeness delta| is above this share of a cell's attribution.",
    ),
]
StudyOption = Annotated[str | None, typer.Option(help="Name of the study (default: the file's); for one file.")]
TitleOption = Annotated[str | None, typer.Option(help="Title of the study; for one file.")]
SourceOption = Annotated[str | None, typer.Option(help="Where the study is from: an accession, a DOI; for one file.")]
ObsmOption = Annotated[
    list[str] | None,
    typer.Option(help="Keep two dimensions of an embedding, as columns: umap_1, umap_2 of X_umap; repeatable."),
]
LayerOption = Annotated[
    str | None,
    typer.Option(
        help="Matrix of raw counts: a layer, X or raw (default: the first that holds counts); in a .h5 of Cell "
        "Ranger, the genome."
    ),
]
ObsOption = Annotated[
    Path | None,
    typer.Option(
        help="Metadata of the cells (.csv, .tsv, .parquet), a row for each, which the column `barcode` names, or "
        "else the first; they replace those of the same name in the file. For one file."
    ),
]
MinGenesOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Fewest genes that study and model must share (default: 500, or half of a smaller model's)."
    ),
]
PrecisionOption = Annotated[Precision, typer.Option(help="Of the matrix products behind the first layer.")]
BatchSizeOption = Annotated[int | None, typer.Option(min=1, help="Cells attributed at a time (default: what fits).")]


def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """FIELD=COLUMN pairs as a dict; ObsError for anything else."""
    if odd := [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]:
        raise ObsError(f"--map takes FIELD=COLUMN, or FIELD= for none, not {odd[0]!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """NAME=VALUE pairs of settings of Spark as a dict; SparkError for anything else."""
    if odd := [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]:
        raise SparkError(f"--conf takes NAME=VALUE, not {odd[0]!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


def parse_covariates(pairs: list[str]) -> dict[str, str]:
    """NAME=VALUE pairs as a dict; ModelError for anything else."""
    if odd := [pair for pair in pairs if not all(pair.partition("="))]:
        raise ModelError(f"--covariate takes NAME=VALUE, not {odd[0]!r}.")
    return dict(pair.split("=", 1) for pair in pairs)
