"""`sigdb ingest` and `sigdb ingest-spark`, and the reports that they share with `sigdb demo` and `sigdb load`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli import options
from sigdb.cli.options import IfExists, Method, Precision, Quadrature, Summation
from sigdb.cli.progress import progress_bars
from sigdb.cli.reports import print_advice, print_outcome
from sigdb.errors import ObsError, StudyExistsError, needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.models import CellModel
    from ingest.options import Compute, IngestOptions, Source
    from ingest.store.study import StudyReport


def ingest(
    atlas: options.NewAtlasPath,
    files: options.FilesArgument,
    model: options.ModelOption,
    weights: options.WeightsOption,
    covariate: options.CovariateOption = None,
    method: options.MethodOption = Method.ig,
    steps: options.StepsOption = 50,
    quadrature: options.QuadratureOption = Quadrature.gausslegendre,
    summation: options.SummationOption = None,
    baseline_cells: options.BaselineCellsOption = None,
    baseline_file: options.BaselineFileOption = None,
    max_delta: options.MaxDeltaOption = None,
    study: options.StudyOption = None,
    title: options.TitleOption = None,
    organism: options.OrganismOption = None,
    source: options.SourceOption = None,
    licence: options.LicenceOption = None,
    mapping: options.MappingOption = None,
    obsm: options.ObsmOption = None,
    layer: options.LayerOption = None,
    obs: options.ObsOption = None,
    run: options.RunNameOption = None,
    if_exists: options.IfExistsOption = IfExists.ERROR,
    min_genes: options.MinGenesOption = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:N, mps; auto: cuda where there is one, or cpu.")
    ] = "auto",
    precision: options.PrecisionOption = Precision.float32,
    batch_size: options.BatchSizeOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that attribute; with cuda, a GPU each in turn.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of all workers (default: all cores).")] = None,
    quiet: options.QuietOption = False,
) -> None:
    """Attribute the cells of studies and add them to an atlas, each file whole or not at all.

    Cells are kept beside the atlas as they are attributed: where this was interrupted, the same command goes on.
    """
    with needs_extra("ingest"):
        from ingest.options import Compute
        from ingest.pipeline import ingest_files
    with progress_bars(quiet=quiet) as report:
        plan = planned(
            files, Compute(device, precision.value, batch_size, workers, threads), report,
            model=model, weights=weights, covariate=covariate, method=method, steps=steps, quadrature=quadrature,
            summation=summation, baseline_cells=baseline_cells, baseline_file=baseline_file, max_delta=max_delta,
            study=study, title=title, organism=organism, source=source, licence=licence, mapping=mapping, obsm=obsm,
            layer=layer, obs=obs, run=run, if_exists=if_exists, min_genes=min_genes,
        )  # fmt: skip
        reports = ingest_files(atlas, plan.sources, plan.model, plan.how)
    print_outcome(atlas, reports, plan.left(reports))
    print_advice(atlas)


def ingest_spark(
    lake: Annotated[Path, typer.Argument(metavar="LAKE", help="The folder of a lake; made if there is none.")],
    files: options.FilesArgument,
    model: options.ModelOption,
    weights: options.WeightsOption,
    covariate: options.CovariateOption = None,
    method: options.MethodOption = Method.ig,
    steps: options.StepsOption = 50,
    quadrature: options.QuadratureOption = Quadrature.gausslegendre,
    summation: options.SummationOption = None,
    baseline_cells: options.BaselineCellsOption = None,
    baseline_file: options.BaselineFileOption = None,
    max_delta: options.MaxDeltaOption = None,
    study: options.StudyOption = None,
    title: options.TitleOption = None,
    organism: options.OrganismOption = None,
    source: options.SourceOption = None,
    licence: options.LicenceOption = None,
    mapping: options.MappingOption = None,
    obsm: options.ObsmOption = None,
    layer: options.LayerOption = None,
    obs: options.ObsOption = None,
    run: options.RunNameOption = None,
    if_exists: options.IfExistsOption = IfExists.ERROR,
    min_genes: options.MinGenesOption = None,
    device: Annotated[
        str,
        typer.Option(help="Of the machines of the cluster: cpu, or cuda, which takes the GPU that Spark gives a task."),
    ] = "cpu",
    precision: options.PrecisionOption = Precision.float32,
    batch_size: options.BatchSizeOption = None,
    master: Annotated[
        str | None,
        typer.Option(
            help="Where Spark runs: local[4,4] (4 cores, 4 tries), spark://HOST:PORT, yarn (default: what spark-submit "
            "or the configuration of Spark says)."
        ),
    ] = None,
    conf: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A setting of Spark, such as spark.task.cpus=2; repeatable."),
    ] = None,
    genes_per_bucket: Annotated[
        int | None, typer.Option(min=1, help="Of a new lake: how many gene ids share a file (default: 256).")
    ] = None,
    quiet: options.QuietOption = False,
) -> None:
    """Attribute the cells of studies by Apache Spark, and add them to a lake, each file whole or not at all.

    All machines must see FILE and LAKE under these names. Cells are kept beside the lake as they are attributed: where
    this was interrupted, the same command goes on.
    """
    with needs_extra("ingest"):
        from ingest.options import Compute
        from ingest.spark.driver import ingest_into_lake, spark_session
    settings = options.parse_settings(conf or [])
    with progress_bars(quiet=quiet) as report:
        plan = planned(
            files, Compute(device, precision.value, batch_size, is_remote=True), report,
            model=model, weights=weights, covariate=covariate, method=method, steps=steps, quadrature=quadrature,
            summation=summation, baseline_cells=baseline_cells, baseline_file=baseline_file, max_delta=max_delta,
            study=study, title=title, organism=organism, source=source, licence=licence, mapping=mapping, obsm=obsm,
            layer=layer, obs=obs, run=run, if_exists=if_exists, min_genes=min_genes,
        )  # fmt: skip
        spark = spark_session(master, settings)
        try:
            reports = ingest_into_lake(
                spark, lake, plan.sources, plan.model, plan.how, genes_per_bucket=genes_per_bucket
            )
        finally:
            spark.stop()
    print_outcome(lake.absolute(), reports, plan.left(reports))


@dataclass(frozen=True)
class Plan:
    """What to ingest, and how: the options of a command, checked and loaded."""

    sources: Sequence[Source]
    model: CellModel
    how: IngestOptions

    def left(self, reports: Sequence[StudyReport]) -> list[str]:
        """The studies that were there already."""
        added = {report.study for report in reports}
        return [source.name for source in self.sources if source.name not in added]


def planned(
    files: Sequence[Path],
    compute: Compute,
    progress: Callable[[str, int, int], None],
    *,
    model: options.Architecture,
    weights: Path,
    covariate: list[str] | None,
    method: Method,
    steps: int,
    quadrature: Quadrature,
    summation: Summation | None,
    baseline_cells: str | None,
    baseline_file: Path | None,
    max_delta: float | None,
    study: str | None,
    title: str | None,
    organism: str | None,
    source: str | None,
    licence: str | None,
    mapping: list[str] | None,
    obsm: list[str] | None,
    layer: str | None,
    obs: Path | None,
    run: str | None,
    if_exists: IfExists,
    min_genes: int | None,
) -> Plan:
    """What the options of a command ask for; an error where they do not go together, or the model cannot be read."""
    from ingest import options as ingest_options
    from ingest.models import load_model

    if len(files) > 1 and (study or title or source or obs):
        raise StudyExistsError(f"--study, --title, --source and --obs are for one file; there are {len(files)}.")
    if baseline_file and not baseline_cells:
        raise ObsError("--baseline-file needs --baseline-cells, which says which of its cells count.")
    fields = options.parse_mapping(mapping or [])
    reference = baseline_cells and ingest_options.ReferenceCells(
        baseline_file or files[0], baseline_cells, layer, fields, None if baseline_file else obs
    )
    how = ingest_options.IngestOptions(
        method=ingest_options.Method(method.value, summation and summation.value, steps, quadrature.value),
        baseline=reference or None, compute=compute, max_delta=max_delta, layer=layer, mapping=fields, obsm=obsm or (),
        run=run, min_genes=min_genes, if_exists=if_exists.value, progress=progress,
    )  # fmt: skip
    sources = [ingest_options.Source(file, study or "", title, organism, source, licence, obs) for file in files]
    return Plan(sources, load_model(model.value, weights, options.parse_covariates(covariate or [])), how)
