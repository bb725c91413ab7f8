"""`sigdb ingest`, and what it shares with `sigdb demo`: progress bars, reports, the extra that must be installed."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sigdb import optimize
from sigdb.cli.output import console, errors, print_table
from sigdb.connection import connect
from sigdb.errors import ModelError, ObsError, StudyExistsError, listed, needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.progress import Task

    from ingest.study import StudyReport

# Seconds between two lines of progress where no bar can be drawn.
LINE_EVERY = 5.0


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


def ingest(
    atlas: NewAtlasPath,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Raw counts, a study each: AnnData (.h5ad, a zarr folder) or the output of Cell Ranger (.h5, a folder "
            "with matrix.mtx).",
        ),
    ],
    model: ModelOption,
    weights: WeightsOption,
    covariate: CovariateOption = None,
    method: Annotated[
        Method, typer.Option(help="Integrated Gradients, Input x Gradient, or DeepLIFT by the Rescale rule.")
    ] = Method.ig,
    steps: Annotated[int, typer.Option(min=1, help="Integration steps of ig.")] = 50,
    quadrature: Annotated[Quadrature, typer.Option(help="Integration rule of ig.")] = Quadrature.gausslegendre,
    summation: Annotated[
        Summation | None,
        typer.Option(
            help="What is explained: sum of |e(x) e(x')| of the model's embedding, as published, or the dot product of "
            "the embedding before it is normalised (default: published for ig, dot for ixg and deeplift)."
        ),
    ] = None,
    baseline_cells: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Explain cells against the mean of reference cells, not against a cell without expression: SQL on the "
            "columns that the view `cells` has of them, such as \"cell_type = 'T cell'\".",
        ),
    ] = None,
    baseline_file: Annotated[
        Path | None, typer.Option(help="AnnData file of the reference cells (default: the first FILE).")
    ] = None,
    max_delta: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Refuse a study whose median |completeness delta| is above this share of a cell's attribution.",
        ),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study (default: the file's); for one file.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the study; for one file.")] = None,
    organism: OrganismOption = None,
    source: Annotated[
        str | None, typer.Option(help="Where the study is from: an accession, a DOI; for one file.")
    ] = None,
    licence: LicenceOption = None,
    mapping: MappingOption = None,
    obsm: Annotated[
        list[str] | None,
        typer.Option(help="Keep two dimensions of an embedding, as columns: umap_1, umap_2 of X_umap; repeatable."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Matrix of raw counts: a layer, X or raw (default: the first that holds counts); in a .h5 of Cell "
            "Ranger, the genome."
        ),
    ] = None,
    obs: Annotated[
        Path | None,
        typer.Option(
            help="Metadata of the cells (.csv, .tsv, .parquet), a row for each, which the column `barcode` names, or "
            "else the first; they replace those of the same name in the file. For one file."
        ),
    ] = None,
    run: RunNameOption = None,
    if_exists: IfExistsOption = IfExists.ERROR,
    min_genes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Fewest genes that study and model must share (default: 500, or half of a smaller model's)."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:N, mps; auto: cuda where there is one, or cpu.")
    ] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Of the matrix products behind the first layer.")
    ] = Precision.float32,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Cells attributed at a time (default: what fits).")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that attribute; with cuda, a GPU each in turn.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of all workers (default: all cores).")] = None,
    quiet: QuietOption = False,
) -> None:
    """Attribute the cells of studies and add them to an atlas, each file whole or not at all.

    Cells are kept beside the atlas as they are attributed: where this was interrupted, the same command goes on.
    """
    with needs_extra("ingest"):
        from ingest import attribution, baseline, compute, pipeline
        from ingest.models import load_model
    if len(files) > 1 and (study or title or source or obs):
        raise StudyExistsError(f"--study, --title, --source and --obs are for one file; there are {len(files)}.")
    if baseline_file and not baseline_cells:
        raise ObsError("--baseline-file needs --baseline-cells, which says which of its cells count.")
    fields = parse_mapping(mapping or [])
    reference = baseline_cells and baseline.ReferenceCells(
        baseline_file or files[0], baseline_cells, layer, fields, None if baseline_file else obs
    )
    if quiet:
        logging.getLogger("ingest").setLevel(logging.ERROR)
    with progress_bars(quiet=quiet) as report:
        options = pipeline.IngestOptions(
            method=attribution.Method(method.value, summation and summation.value, steps, quadrature.value),
            baseline=reference or None, compute=compute.Compute(device, precision.value, batch_size, workers, threads),
            max_delta=max_delta, layer=layer, mapping=fields, obsm=obsm or (), run=run, min_genes=min_genes,
            if_exists=if_exists.value, progress=report,
        )  # fmt: skip
        sources = [pipeline.Source(file, study or "", title, organism, source, licence, obs) for file in files]
        loaded = load_model(model.value, weights, parse_covariates(covariate or []))
        reports = pipeline.ingest_files(atlas, sources, loaded, options)
    added = {report.study for report in reports}
    print_outcome(atlas, reports, [source.name for source in sources if source.name not in added])


def print_outcome(atlas: Path, reports: Sequence[StudyReport], left: Sequence[str]) -> None:
    """Say what came of all studies, those left as they are too, and what a user should do next."""
    from ingest.stage import stages_of, unfinished_studies

    print_reports(reports)
    for study in left:
        console.print(f"{study}: in the atlas already, and left as it is", markup=False)
    if unfinished := unfinished_studies(atlas):
        console.print(
            f"Cells of {listed(unfinished)} from an interrupted ingest are kept in {stages_of(atlas)}. "
            "Its command goes on from there; without it, remove the folder.",
            markup=False,
        )
    with connect(atlas) as con:
        if advice := optimize.advice(con, atlas):
            console.print(advice, markup=False)


def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """FIELD=COLUMN pairs as a dict; ObsError for anything else."""
    if odd := [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]:
        raise ObsError(f"--map takes FIELD=COLUMN, or FIELD= for none, not {odd[0]!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


def parse_covariates(pairs: list[str]) -> dict[str, str]:
    """NAME=VALUE pairs as a dict; ModelError for anything else."""
    if odd := [pair for pair in pairs if not all(pair.partition("="))]:
        raise ModelError(f"--covariate takes NAME=VALUE, not {odd[0]!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


class Speed(ProgressColumn):
    """Things done a second, lately."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """The speed, once there is one."""
        return Text(speed(task, self.unit))


def speed(task: Task, unit: str) -> str:
    """Things done a second: lately, or in all while there is one figure only."""
    value = task.speed or (task.completed / task.elapsed if task.elapsed else 0)
    return f"{value:,.0f} {unit}/s" if value else ""


@contextmanager
def progress_bars(unit: str = "cells", *, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Progress per name (a study), on standard error; yields the function to tell (name, done, total).

    Bars on a terminal, and elsewhere a line now and then; nothing if `quiet`.
    """
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        Speed(unit), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    lines = not errors.is_terminal and not quiet
    with Progress(*columns, console=errors, disable=quiet or lines) as progress:
        tasks: dict[str, Task] = {}
        said: dict[str, float] = {}

        def report(study: str, done: int, total: int) -> None:
            if study not in tasks:
                progress.add_task(study, total=total)
                tasks[study], said[study] = progress.tasks[-1], time.monotonic()
            task = tasks[study]
            progress.update(task.id, completed=done)
            if lines and (done == total or time.monotonic() - said[study] >= LINE_EVERY):
                said[study] = time.monotonic()
                errors.print(line(task, unit), soft_wrap=True)

        yield report


def line(task: Task, unit: str) -> str:
    """Progress in words."""
    parts = [f"{task.description}: {task.completed:,.0f} of {task.total or 0:,.0f} {unit}", speed(task, unit)]
    if task.time_remaining:
        parts.append(f"{timedelta(seconds=int(task.time_remaining))} left")
    return ", ".join(part for part in parts if part)


def print_reports(reports: Sequence[StudyReport]) -> None:
    """Say what came of each study; without how well attributions add up, where they were computed elsewhere."""
    if not reports:
        return
    given = all(report.median_delta is None for report in reports)
    names = ["study", "scores from" if given else "counts from", "cells", "scores", "genes measured"]
    names += ["cells without scores"] if given else ["cells without counts"]
    names += [] if given else ["median |completeness delta|", "as a share"]
    rows = [
        (r.study, r.counts_from, r.n_cells, r.n_scores, r.n_genes_measured, r.n_empty_cells, r.median_delta,
         r.relative_delta)[: len(names)]
        for r in reports
    ]  # fmt: skip
    print_table(names, rows, grouped=True)
    for report in reports:
        for note in report.notes:
            console.print(f"{report.study}: {note}")
