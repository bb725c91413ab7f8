"""`sigdb ingest` and `sigdb ingest-spark`: attribute cells, on this machine or on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli.ingest_options import IngestParameters, ModelParameters, parse_covariates, parse_mapping, parse_settings
from sigdb.cli.options import COMPUTING, DeviceOption, DryRunOption, NewAtlasPath
from sigdb.cli.parameters import expand_options
from sigdb.errors import OptionError, needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.models import CellModel
    from ingest.options import Compute, IngestOptions, ReferenceCells, Source
    from ingest.store.study import StudyReport

app = typer.Typer()


@app.command(
    "ingest", epilog="Example: sigdb ingest mine.duckdb study.h5ad --model mlp --weights model --map donor=donor"
)
@expand_options
def ingest(
    atlas: NewAtlasPath,
    parameters: IngestParameters,
    device: DeviceOption = "auto",
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="The number of processes that attribute cells. With cuda, they share the GPUs.",
            rich_help_panel=COMPUTING,
        ),
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="The number of CPU threads of all workers. Default: one per core.", rich_help_panel=COMPUTING
        ),
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Attribute the cells of studies, and add them to an atlas.

    A study is added whole or not at all. After an interruption, the same command continues.
    """
    from ingest.options import Compute
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.reports import print_advice, print_outcome

    sources = list_sources(parameters)
    compute = Compute(device, parameters.precision, parameters.batch_size, workers, threads)
    if dry_run:
        preview(parameters, sources, make_options(parameters, compute, lambda *done: None))
        return
    with progress_bars(quiet=parameters.quiet, first="Reading the model and the cells", last="storing") as report:
        options = make_options(parameters, compute, report)
        with needs_extra("ingest"):
            from ingest.pipeline import ingest_files
        reports = ingest_files(atlas, sources, read_model(parameters), options)
    print_outcome(atlas, reports, skipped_studies(sources, reports))
    print_advice(atlas)


@app.command(
    "ingest-spark",
    epilog="Example: sigdb ingest-spark mine.lake study.h5ad --model mlp --weights model --master 'local[2,4]'",
)
@expand_options
def ingest_spark(
    lake: Annotated[
        Path, typer.Argument(metavar="LAKE", help="The folder of the lake. It is created if it does not exist.")
    ],
    parameters: IngestParameters,
    device: Annotated[
        str,
        typer.Option(
            help="The device on the machines of the cluster: cpu, or cuda for GPUs that Spark assigns.",
            rich_help_panel=COMPUTING,
        ),
    ] = "cpu",
    master: Annotated[
        str | None,
        typer.Option(
            help="The master of Spark: local[4,4] (4 cores, 4 attempts), spark://HOST:PORT or yarn. Default: the "
            "configuration of Spark or spark-submit.",
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    conf: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A setting of Spark, such as spark.task.cpus=2. Repeatable.",
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    genes_per_bucket: Annotated[
        int | None, typer.Option(min=1, help="The number of gene ids that share a file of a new lake. Default: 256.")
    ] = None,
) -> None:
    """Attribute the cells of studies with Apache Spark, and add them to a lake.

    All machines must see FILE and LAKE under the same paths.

    A study is added whole or not at all. After an interruption, the same command continues.
    """
    from ingest.options import Compute
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.reports import print_outcome

    sources = list_sources(parameters)
    compute = Compute(device, parameters.precision, parameters.batch_size, is_remote=True)
    settings = parse_settings(conf or [])
    with progress_bars(quiet=parameters.quiet, first="Reading the model and the cells", last="storing") as report:
        options = make_options(parameters, compute, report)
        with needs_extra("ingest"):
            from ingest.spark.driver import ingest_into_lake, spark_session
        model = read_model(parameters)
        spark = spark_session(master, settings)
        try:
            reports = ingest_into_lake(spark, lake, sources, model, options, genes_per_bucket=genes_per_bucket)
        finally:
            spark.stop()
    print_outcome(lake.absolute(), reports, skipped_studies(sources, reports))


def preview(parameters: IngestParameters, sources: Sequence[Source], options: IngestOptions) -> None:
    """Print what would be taken from each file. Only the genes of the model need torch."""
    from sigdb.cli.reports import print_previews

    with needs_extra("ingest"):
        from ingest.preview import preview_study
    model = read_model(parameters)
    print_previews([preview_study(source, options=options, model=model) for source in sources])


def list_sources(parameters: IngestParameters) -> list[Source]:
    """The files to ingest, with what is known about each study."""
    from ingest.options import Source

    p = parameters
    if len(p.files) > 1 and (p.study or p.title or p.source or p.obs):
        raise OptionError(f"--study, --title, --source and --obs are for one file, but {len(p.files)} are given.")
    return [Source(file, p.study or "", p.title, p.organism, p.source, p.licence, p.obs) for file in p.files]


def make_options(
    parameters: IngestParameters, compute: Compute, progress: Callable[[str, int, int], None]
) -> IngestOptions:
    """The options of the library, from the parameters of a command."""
    from ingest.options import IngestOptions, Method

    return IngestOptions(
        method=Method(parameters.method, parameters.summation, parameters.n_steps, parameters.quadrature),
        baseline=reference_cells(parameters),
        compute=compute,
        max_error=parameters.max_error,
        layer=parameters.layer,
        mapping=parse_mapping(parameters.mapping),
        obsm=parameters.obsm,
        run=parameters.run,
        min_genes=parameters.min_genes,
        if_exists=parameters.if_exists,  # type: ignore[arg-type]
        progress=progress,
    )


def reference_cells(parameters: IngestParameters) -> ReferenceCells | None:
    """The cells whose mean is the baseline; None if the baseline is a cell without expression."""
    from ingest.options import ReferenceCells

    condition, file, obs = parameters.baseline_cells, parameters.baseline_file, None
    if not condition:
        if file:
            raise OptionError("--baseline-file needs --baseline-cells, the condition that selects the reference cells.")
        return None
    if file is None:
        file, obs = parameters.files[0], parameters.obs
    return ReferenceCells(file, condition, parameters.layer, parse_mapping(parameters.mapping), obs)


def read_model(parameters: ModelParameters) -> CellModel:
    """The model that a command names."""
    covariates = parse_covariates(parameters.covariates)
    with needs_extra("ingest"):
        from ingest.models import load_model
    return load_model(
        parameters.model,
        parameters.weights,
        covariates,
        depth=parameters.depth,
        pool=parameters.pool,
        max_length=parameters.max_length,
        dictionaries=parameters.dictionaries,
    )


def skipped_studies(sources: Sequence[Source], reports: Sequence[StudyReport]) -> list[str]:
    """The names of the studies that the atlas already had."""
    added = {report.study for report in reports}
    return [source.name for source in sources if source.name not in added]
