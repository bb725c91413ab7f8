"""`sigdb ingest` and `sigdb ingest-spark`: attribute cells, on this machine or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli import options
from sigdb.cli.options import IngestParameters, NewAtlasPath
from sigdb.cli.parameters import expand_options
from sigdb.errors import CountsError, ModelError, OptionError, nearest, needs_extra

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
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:N or mps. With auto: cuda if there is a GPU, and cpu otherwise.")
    ] = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="The number of processes that attribute cells. With cuda, they share the GPUs.")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="The number of CPU threads of all workers. Default: one per core.")
    ] = None,
) -> None:
    """Attribute the cells of studies, and add them to an atlas.

    A study is added whole or not at all. After an interruption, the same command continues.
    """
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.reports import print_advice, print_outcome

    check_parameters(parameters)
    with needs_extra("ingest"):
        from ingest.options import Compute
        from ingest.pipeline import ingest_files
    compute = Compute(device, parameters.precision, parameters.batch_size, workers, threads)
    with progress_bars(quiet=parameters.quiet) as report:
        plan = make_plan(parameters, compute, report)
        reports = ingest_files(atlas, plan.sources, plan.model, plan.options)
    print_outcome(atlas, reports, plan.skipped(reports))
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
        str, typer.Option(help="The device on the machines of the cluster: cpu, or cuda for GPUs that Spark assigns.")
    ] = "cpu",
    master: Annotated[
        str | None,
        typer.Option(
            help="The master of Spark: local[4,4] (4 cores, 4 attempts), spark://HOST:PORT or yarn. Default: the "
            "configuration of Spark or spark-submit."
        ),
    ] = None,
    conf: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A setting of Spark, such as spark.task.cpus=2. Repeatable."),
    ] = None,
    genes_per_bucket: Annotated[
        int | None, typer.Option(min=1, help="The number of gene ids that share a file of a new lake. Default: 256.")
    ] = None,
) -> None:
    """Attribute the cells of studies with Apache Spark, and add them to a lake.

    All machines must see FILE and LAKE under the same paths.

    A study is added whole or not at all. After an interruption, the same command continues.
    """
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.reports import print_outcome

    check_parameters(parameters)
    settings = options.parse_settings(conf or [])
    with needs_extra("ingest"):
        from ingest.options import Compute
        from ingest.spark.driver import ingest_into_lake, spark_session
    compute = Compute(device, parameters.precision, parameters.batch_size, is_remote=True)
    with progress_bars(quiet=parameters.quiet) as report:
        plan = make_plan(parameters, compute, report)
        spark = spark_session(master, settings)
        try:
            reports = ingest_into_lake(
                spark, lake, plan.sources, plan.model, plan.options, genes_per_bucket=genes_per_bucket
            )
        finally:
            spark.stop()
    print_outcome(lake.absolute(), reports, plan.skipped(reports))


def check_parameters(parameters: IngestParameters) -> None:
    """Refuse parameters that do not fit together, before torch is loaded."""
    n_files = len(parameters.files)
    if n_files > 1 and (parameters.study or parameters.title or parameters.source or parameters.obs):
        raise OptionError(f"--study, --title, --source and --obs are for one file, but {n_files} are given.")
    if parameters.baseline_file and not parameters.baseline_cells:
        raise OptionError("--baseline-file needs --baseline-cells, the condition that selects the reference cells.")
    for path in filter(None, [*parameters.files, parameters.obs, parameters.baseline_file]):
        if not path.exists():
            raise CountsError(f"There is no file or folder {path}.{nearest_file(path)}")
    if not parameters.weights.exists():
        raise ModelError(f"There is no model folder {parameters.weights}.{nearest_file(parameters.weights)}")
    options.parse_mapping(parameters.mapping)
    options.parse_covariates(parameters.covariates)


def nearest_file(path: Path) -> str:
    """A hint at the file beside a path whose name is most like it, or an empty text."""
    return nearest(path.name, [each.name for each in path.parent.iterdir()]) if path.parent.is_dir() else ""


@dataclass(frozen=True)
class Plan:
    """What to ingest, and how: the parameters of a command, loaded."""

    sources: Sequence[Source]
    model: CellModel
    options: IngestOptions

    def skipped(self, reports: Sequence[StudyReport]) -> list[str]:
        """The names of the studies that the atlas already had."""
        added = {report.study for report in reports}
        return [source.name for source in self.sources if source.name not in added]


def make_plan(parameters: IngestParameters, compute: Compute, progress: Callable[[str, int, int], None]) -> Plan:
    """Load the model, and turn parameters of a command into those of the library."""
    from ingest.models import load_model
    from ingest.options import IngestOptions, Method, Source

    p = parameters
    return Plan(
        [Source(file, p.study or "", p.title, p.organism, p.source, p.licence, p.obs) for file in p.files],
        load_model(p.model, p.weights, options.parse_covariates(p.covariates)),
        IngestOptions(
            method=Method(p.method, p.summation, p.n_steps, p.quadrature),
            baseline=reference_cells(p),
            compute=compute,
            max_delta=p.max_delta,
            layer=p.layer,
            mapping=options.parse_mapping(p.mapping),
            obsm=p.obsm,
            run=p.run,
            min_genes=p.min_genes,
            if_exists=p.if_exists,  # type: ignore[arg-type]
            progress=progress,
        ),
    )


def reference_cells(parameters: IngestParameters) -> ReferenceCells | None:
    """The cells whose mean is the baseline, if there are any."""
    from ingest.options import ReferenceCells

    if not parameters.baseline_cells:
        return None
    file, obs = parameters.baseline_file, None
    if file is None:
        file, obs = parameters.files[0], parameters.obs
    mapping = options.parse_mapping(parameters.mapping)
    return ReferenceCells(file, parameters.baseline_cells, parameters.layer, mapping, obs)
